//! Every file that may hold events is made for its user only, whatever the umask: the program itself makes each kind of them.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rusqlite::Connection;

use crate::support;
use crate::support::process::{Running, output};

/// The program under this umask, which only a shell can set for it.
fn cxsink(folder: &Path, umask: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_cxsink")])
        .args(arguments)
        .env_clear()
        .env("CXSINK_SPOOL__PATH", "below/it/spool.db")
        .env("CXSINK_DESTINATION__URL", "sqlite:table.db")
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

/// The files and folders below a folder, with their modes.
fn modes(folder: &Path, into: &mut BTreeMap<String, u32>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // One that SQLite removes at this moment.
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        into.insert(path.file_name().unwrap().to_str().unwrap().into(), found.permissions().mode() & 0o777);
        if found.is_dir() {
            modes(&path, into);
        }
    }
}

#[test]
fn files_are_made_for_their_user_only_whatever_the_umask() {
    for umask in ["0000", "0022", "0077", "0777"] {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path();
        let run = |arguments: &[&str]| {
            let (code, out, err) = output(&mut cxsink(folder, umask, arguments));
            assert_eq!(code, 0, "umask {umask}: {arguments:?}: {out}{err}");
        };
        run(&["init-db"]);
        run(&["init"]);
        run(&["check", "--only", "spool"]);
        let mut seen = BTreeMap::new();

        // A process that has everything open.
        let mut sink = Running::start(cxsink(folder, umask, &["import", "-"]).stdin(Stdio::piped()));
        let input = sink.child.stdin.as_mut().unwrap();
        let event = r#"{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"k"}"#;
        writeln!(input, "{event}\n{{}}").unwrap();
        support::wait_until("the event is in the table", || {
            let table = Connection::open(folder.join("table.db")).unwrap();
            table.query_row("SELECT count(*) FROM cxone_events", [], |row| row.get::<_, u64>(0)) == Ok(1)
        });
        modes(folder, &mut seen);
        // Removed, so that what is in it is saved in a new file.
        fs::remove_file(folder.join("below/it/spool.db")).unwrap();
        sink.signal("KILL");
        sink.wait();
        modes(folder, &mut seen);
        for leftover in fs::read_dir(folder.join("below/it")).unwrap() {
            fs::remove_file(leftover.unwrap().path()).unwrap();
        }

        fs::write(folder.join("bad.jsonl"), format!("{event}\n{{}}\n")).unwrap();
        run(&["import", "bad.jsonl"]);
        fs::remove_file(folder.join("bad.jsonl")).unwrap();
        run(&["dead-letters", "export", "exported.jsonl"]);
        let simulate = ["simulate", "--profile", "8x8", "--token-file", "token", "--events", "1"];
        let mut simulator = Running::start(&mut cxsink(folder, umask, &simulate));
        support::wait_until("there is a token", || folder.join("token").exists());
        // It removes the token when it ends.
        modes(folder, &mut seen);
        simulator.signal("TERM");
        simulator.wait();

        let expected = [
            "below",
            "it",
            "spool.db",
            "spool.db-wal",
            "spool.db-shm",
            "spool.db.lock",
            "spool.db.reserve",
            "table.db",
            "exported.jsonl",
            "token",
            "cxsink.toml",
        ];
        for name in expected {
            assert!(seen.contains_key(name), "umask {umask}: {name} was not made: {seen:?}");
        }
        for (name, mode) in seen {
            let right = if ["below", "it"].contains(&name.as_str()) { 0o700 } else { 0o600 };
            assert_eq!(mode, right, "umask {umask}: {name} has the mode {mode:o}");
        }
    }
}
