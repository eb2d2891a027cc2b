//! The connection service file (PostgreSQL manual, 34.17, "The Connection Service File"): `[name]`, then `parameter=value` lines.

use std::path::{Path, PathBuf};

use crate::config::database::libpq::Libpq;
use crate::error::{Error, Result};
use crate::files::open;

const USER_FILE: &str = ".pg_service.conf";
const SYSTEM_FILE: &str = "pg_service.conf";

/// The parameters of a service, and its name in messages. `file` replaces the user's own service file.
///
/// libpq's last resort is its installation directory; here `PGSYSCONFDIR` names that directory.
pub(super) fn read(service: &str, file: Option<PathBuf>, libpq: &Libpq) -> Result<(Vec<(String, String)>, String)> {
    let user_file = file.or_else(|| libpq.home.as_ref().map(|home| home.join(USER_FILE)));
    let system_file = libpq.system_folder.as_ref().map(|directory| directory.join(SYSTEM_FILE));
    let files: Vec<PathBuf> = [user_file, system_file].into_iter().flatten().collect();
    for file in &files {
        let Some(text) = read_file(file)? else { continue };
        let place = |line: usize| format!("service {service:?} in {}:{line}", file.display());
        if let Some(parameters) = find(&text, service).map_err(|(line, why)| bad(&place(line), why))? {
            return Ok((parameters, format!("service {service:?} in {}", file.display())));
        }
    }
    let searched: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let searched = if searched.is_empty() { "no service file".into() } else { searched.join(" and ") };
    Err(Error::config(format!("the service {service:?} does not exist in {searched}"))
        .with_hint("add it to ~/.pg_service.conf, or to the file that PGSERVICEFILE or servicefile names"))
}

/// Enough for ten thousand services.
const FILE_BYTES_MAX: u64 = 1 << 20;

fn read_file(file: &Path) -> Result<Option<String>> {
    match open::read_text(file, FILE_BYTES_MAX) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::config(format!("reading the services in {}: {error}", file.display()))),
    }
}

/// The number of a line and its fault.
type Line = (usize, &'static str);

/// The parameters of this service; `None` if the file does not have it. Faults elsewhere in the file do not matter.
fn find(text: &str, service: &str) -> std::result::Result<Option<Vec<(String, String)>>, Line> {
    let mut found: Option<Vec<(String, String)>> = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if name.strip_suffix(']') == Some(service) {
                found = Some(Vec::new());
            }
            continue;
        }
        let Some(parameters) = &mut found else { continue };
        if line.starts_with("ldap") {
            return Err((number + 1, "refers to LDAP, which is not supported"));
        }
        let Some((name, value)) = line.split_once('=') else { return Err((number + 1, "has no `=`")) };
        if name == "service" || name == "servicefile" {
            return Err((number + 1, "names another service, which libpq does not allow either"));
        }
        parameters.push((name.to_owned(), value.to_owned()));
    }
    Ok(found)
}

fn bad(place: &str, why: &str) -> Error {
    Error::config(format!("{place} {why}")).with_hint("write `parameter=value`, without spaces around the `=`")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# ours\n[other]\nldap://x\nnonsense\n\n[cx]\nhost=db\n# password=x\npassword=a=b c\n\n[more]\nport=1\n[cx]\nport=2\n";

    #[test]
    fn a_service_is_found_in_the_first_file_that_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let (home, system) = (folder.path().join("home"), folder.path().join("system"));
        for folder in [&home, &system] {
            std::fs::create_dir(folder).unwrap();
        }
        std::fs::write(home.join(".pg_service.conf"), FILE).unwrap();
        std::fs::write(system.join("pg_service.conf"), "[cx]\nhost=wrong\n[system]\nhost=here\n").unwrap();
        let libpq = Libpq { home: Some(home), system_folder: Some(system), ..Libpq::default() };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read("cx", None, &libpq).unwrap().0, [pair("host", "db"), pair("password", "a=b c")]);
        assert_eq!(read("system", None, &libpq).unwrap().0, [pair("host", "here")]);
        let error = read("missing", None, &libpq).unwrap_err();
        assert!(error.message().contains("\"missing\"") && error.message().contains("pg_service.conf"), "{error}");
        // Another file replaces the user's own.
        let own = folder.path().join("own.conf");
        std::fs::write(&own, "[cx]\nhost=own\n").unwrap();
        assert_eq!(read("cx", Some(own), &libpq).unwrap().0, [pair("host", "own")]);
        assert!(read("cx", None, &Libpq::default()).unwrap_err().message().contains("no service file"));
    }

    #[test]
    fn an_error_shows_the_number_of_a_bad_line_but_not_the_line() {
        for (lines, expected) in [
            ("host hunter2", ":2 has no `=`"),
            ("ldap://hunter2", ":2 refers to LDAP"),
            ("service=hunter2", ":2 names another service"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("services");
            std::fs::write(&file, format!("[cx]\n{lines}\n")).unwrap();
            let error = read("cx", Some(file), &Libpq::default()).unwrap_err();
            assert!(error.message().contains(expected), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
