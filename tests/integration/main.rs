//! The promises of cxsink, each a module named after it: real PostgreSQL servers, real sockets, real processes.
//!
//! One program, so that cxsink and what it needs are linked once. Its tests run beside each other: a test changes nothing that belongs to
//! the whole process, and one that has to runs itself again as a process of its own (`support::process::in_own_process`).
//!
//! A part that is missing on this machine fails the test that needs it. `scripts/with-postgres cargo test --all-features` has all of them.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test says best what it expects by failing there")]

#[path = "../support/mod.rs"]
mod support;

mod acknowledgement;
mod alerts;
mod any_table;
mod architecture;
mod bad_rows;
mod check;
mod check_conversation;
mod check_tokens;
mod check_warnings;
mod command_line;
mod configuration;
mod core_files;
mod crash;
mod dashboard;
mod dead_letter_summary;
mod dead_letters;
mod deployment;
mod dotenv;
mod end_to_end;
mod equality;
mod examples;
mod failover;
mod fence;
mod file_modes;
mod foreign_servers;
mod foreign_text;
mod gaps;
mod gateways;
mod guard;
mod health;
mod history;
mod identity;
mod inputs;
mod late;
mod limits;
mod lost_files;
mod lost_files_at_start;
mod mapping;
mod metrics;
mod outage;
mod peek_stream;
mod pgbouncer;
mod privacy;
mod profiles;
mod profiles_end_to_end;
mod profiles_simulator;
mod prompt;
mod proxies;
mod requested_wait;
mod retention;
mod rotation;
mod same_keys;
mod secrets;
mod secrets_in_application;
mod service;
mod simulator;
mod spool_errors;
mod spool_format;
mod spool_names;
mod status;
mod strangers;
mod streams;
mod streams_many;
mod streams_watched;
mod tls;
mod upsert;
mod verdicts;
