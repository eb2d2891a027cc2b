//! `init-db`: creates the tables.

use std::process::ExitCode;

use super::arguments::Settings;
use super::print::print_out;
use super::streams::Stream;
use crate::Result;

pub(super) fn init_db(settings: &Settings, print: bool, partitioned: bool) -> Result<ExitCode> {
    let config = settings.load()?;
    // What several streams have in common is said and made once.
    let mut done: Vec<String> = Vec::new();
    for mut stream in settings.streams(&config, &[])? {
        let _scope = stream.enter();
        stream.config.destination.history_partitioned |= partitioned;
        let made = if print { sql(&stream) } else { make(&stream) };
        let made = made.map_err(|error| stream.locate(error))?;
        if !done.contains(&made) {
            print_out!("{made}");
            done.push(made);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn sql(stream: &Stream) -> Result<String> {
    Ok(crate::table::init_db_sql(&stream.config)?.trim_end().to_owned())
}

fn make(stream: &Stream) -> Result<String> {
    crate::init_db(&stream.config)?;
    let destination = &stream.config.destination;
    let history = destination.history_table.as_ref().map_or_else(String::new, |history| format!(", {history}"));
    Ok(format!("the tables {}{history} and cxsink_checkpoint exist", destination.table))
}
