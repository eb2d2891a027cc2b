//! The connection service file (PostgreSQL manual, 34.17, "The Connection Service File"): `[name]`, then `parameter=value` lines.

use std::path::{Path, PathBuf};

use crate::config::database::libpq::Libpq;
use crate::error::{Error, Result};

const OF_THE_USER: &str = ".pg_service.conf";
const OF_THE_SYSTEM: &str = "pg_service.conf";

/// The parameters of a service, and how messages call it. `file`: the one to look in, and in no other for the user's services.
///
/// libpq looks into its own installation's folder at the end; here `PGSYSCONFDIR` names that folder.
pub(crate) fn read(service: &str, file: Option<PathBuf>, libpq: &Libpq) -> Result<(Vec<(String, String)>, String)> {
    let of_the_user = file.or_else(|| libpq.home.as_ref().map(|home| home.join(OF_THE_USER)));
    let of_the_system = libpq.system_folder.as_ref().map(|folder| folder.join(OF_THE_SYSTEM));
    let files: Vec<PathBuf> = [of_the_user, of_the_system].into_iter().flatten().collect();
    for file in &files {
        let Some(text) = read_file(file)? else { continue };
        let place = |line: usize| format!("service {service:?} in {}:{line}", file.display());
        if let Some(parameters) = find(&text, service).map_err(|(line, why)| bad(&place(line), why))? {
            return Ok((parameters, format!("service {service:?} in {}", file.display())));
        }
    }
    let looked_in: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let where_ = if looked_in.is_empty() { "nowhere".into() } else { looked_in.join(" and ") };
    Err(Error::config(format!("there is no service {service:?}; looked for it in {where_}"))
        .with_hint("write it into ~/.pg_service.conf, or into the file that PGSERVICEFILE or servicefile names"))
}

fn read_file(file: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::config(format!("reading the services in {}: {error}", file.display()))),
    }
}

/// The number of a line and what is wrong with it.
type Line = (usize, &'static str);

/// The lines of this service; `None` if it is not in the file. What is wrong elsewhere in the file is not looked at.
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
            return Err((number + 1, "looks a service up by LDAP, which is not supported"));
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
    Error::config(format!("{place} {why}")).with_hint("a line is `parameter=value`, without spaces around the `=`")
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
        // Another file takes the place of the user's own.
        let own = folder.path().join("own.conf");
        std::fs::write(&own, "[cx]\nhost=own\n").unwrap();
        assert_eq!(read("cx", Some(own), &libpq).unwrap().0, [pair("host", "own")]);
        assert!(read("cx", None, &Libpq::default()).unwrap_err().message().contains("nowhere"));
    }

    #[test]
    fn a_bad_line_is_told_by_its_number_only() {
        for (lines, says) in [
            ("host hunter2", ":2 has no `=`"),
            ("ldap://hunter2", ":2 looks a service up by LDAP"),
            ("service=hunter2", ":2 names another service"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("services");
            std::fs::write(&file, format!("[cx]\n{lines}\n")).unwrap();
            let error = read("cx", Some(file), &Libpq::default()).unwrap_err();
            assert!(error.message().contains(says), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
