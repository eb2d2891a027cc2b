//! The native module `cxsink._cxsink`: the part of the package that Python cannot do.
//!
//! It translates between Python values and the public API of the crate `cxsink`, and decides nothing. Exceptions, data classes and the
//! console script are written in Python, in `python/cxsink`.
//!
//! Rules: no thread made by Rust attaches to Python; a call that may block does so detached, and checks Python's signals (`wait`); a
//! handle is used only in the process that opened it (`sink`).

#![expect(clippy::needless_pass_by_value, reason = "pyo3 passes owned values")]

mod check;
mod command_line;
mod config;
mod dead_letters;
mod error;
mod events;
mod json;
mod logs;
mod replay;
mod simulator;
mod sink;
mod table;
mod validator;
mod wait;

use pyo3::prelude::*;

/// The native part of cxsink. Import `cxsink` instead: names here may change without notice.
#[pymodule(gil_used = false)]
mod _cxsink {
    /// The version of the library, which is the version of the package.
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "the name is Python's")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_export]
    use super::check::{check, check_areas};
    #[pymodule_export]
    use super::command_line::main;
    #[pymodule_export]
    use super::config::Config;
    #[pymodule_export]
    use super::dead_letters::{DeadLetters, connections, gaps};
    #[pymodule_export]
    use super::error::statuses;
    #[pymodule_export]
    use super::json::encode_event;
    #[pymodule_export]
    use super::logs::{after_fork, set_log_level, take_logs};
    #[pymodule_export]
    use super::replay::{replay, replay_dry_run, summary};
    #[pymodule_export]
    use super::simulator::{SimulatedEvents, Simulator};
    #[pymodule_export]
    use super::sink::{Sink, accounting, counters, metrics_of};
    #[pymodule_export]
    use super::table::{init_db, init_db_sql, peek, renew_spool};
    #[pymodule_export]
    use super::validator::Validator;
}
