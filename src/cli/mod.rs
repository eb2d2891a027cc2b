//! The command line, one for Rust's binary and the Python package.
//!
//! Exit codes: 0 success, 1 an error ended the command, 2 wrong usage or configuration.

mod arguments;
mod check;
mod command;
mod dead_letters;
mod first_steps;
mod follow;
mod format;
mod gaps;
mod import;
mod init_db;
mod input;
mod live;
mod logging;
mod peek_stream;
mod print;
mod run;
mod signals;
mod streams;
mod validate;

pub use self::command::main;
