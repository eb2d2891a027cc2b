//! `init-db`: creates the tables.

use std::process::ExitCode;

use super::print::say;
use crate::{Config, Result};

pub(super) fn init_db(config: &Config, print: bool) -> Result<ExitCode> {
    if print {
        say!("{}", crate::init_db_sql(config)?.trim_end());
    } else {
        crate::init_db(config)?;
        say!("the tables {} and cxsink_checkpoint exist", config.destination.table);
    }
    Ok(ExitCode::SUCCESS)
}
