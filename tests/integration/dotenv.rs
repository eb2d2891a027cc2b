//! The file of variables: whose it is, when it is read, and that one is told.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::process::{cxsink, output};

/// A folder with `.env` of this mode, which names a schema, and with a configuration and an event that matches no schema.
fn folder(mode: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(".env", "CXSINK_SCHEMA__FILE=of-dotenv.json\n");
    write("of-dotenv.json", "true");
    write("plain.toml", "[batch]\nevents_max = 1\n");
    write("event", "1\n");
    fs::set_permissions(folder.path().join(".env"), fs::Permissions::from_mode(mode)).unwrap();
    folder
}

fn validate(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let (code, out, err) = output(cxsink(folder).args(["validate", "event"]).args(arguments));
    (code, out + &err)
}

#[test]
fn a_dotenv_file_is_read_and_one_is_told() {
    let folder = folder(0o644);
    let (code, shown) = validate(folder.path(), &[]);
    assert_eq!(code, 0, "{shown}");
    let place = fs::canonicalize(folder.path()).unwrap().join(".env");
    assert!(shown.contains(&format!("INFO  reading variables from {}", place.display())), "{shown}");
}

#[test]
fn a_dotenv_file_that_others_may_write_is_refused() {
    let folder = folder(0o666);
    let (code, shown) = validate(folder.path(), &[]);
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("cannot read the variables in .env: every user may write to it"), "{shown}");
    assert!(shown.contains("chmod 0600"), "{shown}");
    let (code, _) = validate(folder.path(), &["--env-file", ".env"]);
    assert_eq!(code, 2);
}

#[test]
fn beside_a_named_configuration_a_dotenv_file_is_read_only_on_request() {
    let folder = folder(0o600);
    let (code, shown) = validate(folder.path(), &["--config", "plain.toml"]);
    assert!(code == 1 && !shown.contains("reading variables"), "{shown}");
    let (code, shown) = validate(folder.path(), &["--config", "plain.toml", "--env-file", ".env"]);
    assert!(code == 0 && shown.contains("reading variables"), "{shown}");
    let (code, shown) = validate(folder.path(), &["--env-file", "missing"]);
    assert!(code == 2 && shown.contains("cannot read the variables in missing"), "{shown}");
}

#[test]
fn a_fifo_blocks_no_command() {
    let folder = folder(0o600);
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let check = |arguments: &[&str], code: i32| {
        let (found, shown) = validate(folder.path(), arguments);
        assert!(found == code && shown.contains("not a regular file"), "{arguments:?}: {found} {shown}");
    };
    check(&["--config", "fifo"], 2);
    check(&["--env-file", "fifo"], 2);
    check(&["--set", "schema.file=fifo"], 2);
    fs::remove_file(folder.path().join(".env")).unwrap();
    fs::rename(&fifo, folder.path().join(".env")).unwrap();
    check(&[], 2);
}

#[test]
fn a_secret_among_the_arguments_is_a_warning() {
    let folder = folder(0o600);
    let (code, shown) = validate(folder.path(), &["--set", "oauth.client_secret=hunter2"]);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("WARN  --set oauth.client_secret: other users see the arguments"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    let (_, shown) = validate(folder.path(), &["--set", "destination.url=postgresql://u@h/d"]);
    assert!(!shown.contains("WARN"), "{shown}");
}

#[test]
fn what_is_made_is_for_this_user_only() {
    let folder = tempfile::tempdir().unwrap();
    let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    let mut command = cxsink(folder.path());
    command.env("CXSINK_DESTINATION__URL", "sqlite:table.db").env("CXSINK_SPOOL__PATH", "a/b/spool.db");
    let (code, out, err) = output(command.args(["import", "/dev/null"]));
    assert_eq!(code, 1, "there is no table: {out}{err}");
    assert_eq!((mode("table.db"), mode("a"), mode("a/b"), mode("a/b/spool.db")), (0o600, 0o700, 0o700, 0o600));
}
