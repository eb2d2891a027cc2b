//! `init-db`: creates the tables.

use std::process::ExitCode;

use super::print::print_out;
use crate::{Config, Result};

pub(super) fn init_db(mut config: Config, print: bool, partitioned: bool) -> Result<ExitCode> {
    config.destination.history_partitioned |= partitioned;
    if print {
        print_out!("{}", crate::table::init_db_sql(&config)?.trim_end());
    } else {
        crate::init_db(&config)?;
        let history = config.destination.history_table.map_or_else(String::new, |history| format!(", {history}"));
        print_out!("the tables {}{history} and cxsink_checkpoint exist", config.destination.table);
    }
    Ok(ExitCode::SUCCESS)
}
