//! What `cxsink --version --verbose` says: everything that a report of a bug needs.

use std::env::consts::{ARCH, OS};

/// Set by a release; a build from a checkout does not know it.
const COMMIT: Option<&str> = option_env!("CXSINK_COMMIT");

pub(in crate::cli) fn long_version() -> String {
    let lines = [
        ("commit", COMMIT.unwrap_or("unknown").to_owned()),
        ("system", format!("{ARCH}-{OS}{}", environment())),
        ("profile", if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned()),
        ("features", "cli, simulator; destinations PostgreSQL and SQLite".to_owned()),
        ("TLS", "1.2 and 1.3 by rustls, cryptography by ring".to_owned()),
        ("SQLite", format!("{} (built in)", rusqlite::version())),
    ];
    let lines = lines.map(|(name, value)| format!("{name:<9} {value}"));
    format!("cxsink {}\n{}", env!("CARGO_PKG_VERSION"), lines.join("\n"))
}

fn environment() -> &'static str {
    if cfg!(target_env = "musl") {
        "-musl"
    } else if cfg!(target_env = "gnu") {
        "-gnu"
    } else {
        ""
    }
}
