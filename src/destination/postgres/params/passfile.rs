//! The password file (PostgreSQL manual, 34.16, "The Password File"): lines of `host:port:database:user:password`.

use std::path::Path;

use crate::config::Secret;
use crate::files::open;

use super::hosts::{Address, Host};

/// The directories that distributions compile into libpq for its socket: the file calls such a host `localhost`.
const DEFAULT_SOCKET_DIRECTORIES: [&str; 3] = ["/var/run/postgresql", "/run/postgresql", "/tmp"];

/// The result of a look-up.
#[derive(Debug)]
pub(crate) enum Lookup {
    Password(Secret),
    /// No file, or no line for this connection.
    Nothing,
    /// The file exists and must not be used, for this reason.
    Unusable(String),
}

/// Enough for ten thousand servers.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The password of the first line that matches. It reads the file each time.
pub(crate) fn look_up(file: &Path, host: &Host, database: &str, user: &str) -> Lookup {
    let unusable = |why: String| Lookup::Unusable(format!("the password file {} is not used: {why}", file.display()));
    match std::fs::metadata(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Lookup::Nothing,
        Err(error) => return unusable(error.to_string()),
        Ok(found) if !found.is_file() => return unusable("it is not a plain file".into()),
        Ok(found) if is_open_to_others(&found) => {
            return unusable("other users can read or write it; chmod 0600 it".into());
        }
        Ok(_) => {}
    }
    let text = match open::read_text(file, FILE_BYTES_MAX) {
        Ok(text) => text,
        Err(error) => return unusable(error.to_string()),
    };
    let name = match &host.address {
        Address::Unix(directory) if DEFAULT_SOCKET_DIRECTORIES.iter().any(|known| directory == Path::new(known)) => {
            "localhost".into()
        }
        Address::Unix(directory) => directory.to_string_lossy().into_owned(),
        Address::Tcp { name, .. } => name.clone(),
    };
    let wanted = [name.as_str(), &host.port.to_string(), database, user];
    text.lines()
        .find_map(|line| password_in(line, wanted))
        .map_or(Lookup::Nothing, |found| Lookup::Password(found.into()))
}

#[cfg(unix)]
fn is_open_to_others(file: &std::fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o077 != 0
}

/// As in libpq: on other systems the directory counts as private.
#[cfg(not(unix))]
fn is_open_to_others(_: &std::fs::Metadata) -> bool {
    false
}

fn password_in(line: &str, wanted: [&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut rest = line;
    for wanted in wanted {
        let (field, is_wild, after) = field(rest);
        if !is_wild && field != wanted {
            return None;
        }
        rest = after?;
    }
    Some(field(rest).0)
}

/// The first field without its backslashes, whether it is `*`, and the text after its colon.
fn field(text: &str) -> (String, bool, Option<&str>) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            ':' => return (value, &text[..at] == "*", Some(&text[at + 1..])),
            c => value.push(c),
        }
    }
    (value, text == "*", None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tcp(name: &str) -> Host {
        Host { address: Address::Tcp { name: name.into(), ip: None }, port: 5432 }
    }

    fn found(text: &str, host: &Host, database: &str, user: &str) -> Option<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        match look_up(file.path(), host, database, user) {
            Lookup::Password(password) => Some(password.expose().into()),
            Lookup::Nothing => None,
            Lookup::Unusable(why) => panic!("{why}"),
        }
    }

    #[test]
    fn the_first_matching_line_wins() {
        let text = "# db:5432:cx:me:comment\nnonsense\ndb:5433:cx:me:port\ndb:5432:cx:you:user\n\
                    d\\:b:*:c\\\\x:*:escaped\\:\\\\\n/run/x:5432:*:me:socket\n*:*:cx:me:first\n*:*:*:me:second:not\n";
        let socket = |folder: &str| Host { address: Address::Unix(folder.into()), port: 5432 };
        let cases = [
            (tcp("db"), "cx", "me", Some("first")),
            (tcp("db"), "other", "me", Some("second")),
            (tcp("db"), "other", "them", None),
            (tcp("db"), "cx", "you", Some("user")),
            (tcp("d:b"), "c\\x", "x", Some("escaped:\\")),
            (socket("/run/x"), "x", "me", Some("socket")),
        ];
        for (host, database, user, expected) in cases {
            assert_eq!(found(text, &host, database, user).as_deref(), expected, "{host} {database} {user}");
        }
        let local = "localhost:5432:cx:me:local\n";
        assert_eq!(found(local, &socket("/var/run/postgresql"), "cx", "me").as_deref(), Some("local"));
        assert_eq!(found(local, &socket("/run/x"), "cx", "me"), None);
    }

    #[test]
    #[cfg(unix)]
    fn a_file_that_others_can_read_is_refused_with_the_reason() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgpass");
        assert!(matches!(look_up(&file, &tcp("db"), "cx", "me"), Lookup::Nothing), "there is none");
        fs::write(&file, "*:*:*:*:hunter2\n").unwrap();
        for mode in [0o640, 0o604, 0o660] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let Lookup::Unusable(why) = look_up(&file, &tcp("db"), "cx", "me") else { panic!("{mode:o}") };
            assert!(why.contains("0600") && !why.contains("hunter2"), "{why}");
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(look_up(&file, &tcp("db"), "cx", "me"), Lookup::Password(_)));
        assert!(matches!(look_up(folder.path(), &tcp("db"), "cx", "me"), Lookup::Unusable(_)), "a folder");
    }
}
