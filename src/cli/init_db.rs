//! `init-db`: creates the tables.

use std::process::ExitCode;

use super::print::print_out;
use crate::{Config, Result};

pub(super) fn init_db(config: &Config, print: bool) -> Result<ExitCode> {
    if print {
        print_out!("{}", crate::table::init_db_sql(config)?.trim_end());
    } else {
        crate::init_db(config)?;
        print_out!("the tables {} and cxsink_checkpoint exist", config.destination.table);
    }
    Ok(ExitCode::SUCCESS)
}
