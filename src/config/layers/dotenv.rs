//! The layer of `.env`: the variables of the file. They never reach the process's environment.
//!
//! Other programs share the file. A line of theirs that dotenvy cannot read (an unquoted value with spaces, which other
//! readers accept) is skipped; such a line with one of our variables is an error.

use std::cell::Cell;
use std::collections::HashSet;
use std::io::{self, Read};
use std::rc::Rc;

use crate::config::layers::environment::is_ours;
use crate::config::layers::references::references;
use crate::config::layers::variables::{Origin, Variable, Variables};
use crate::error::{Error, Result};

/// The variables in `text`; errors call the file `name`.
pub(super) fn read(name: &str, text: &str) -> Result<Variables> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file: Rc<str> = name.into();
    let lines: Vec<&str> = text.lines().collect();
    let lines_read = Rc::new(Cell::new(0));
    let mut variables = Variables::default();
    let mut set = HashSet::new();
    let mut previous_end = 0;
    for entry in dotenvy::from_read_iter(LineByLine {
        rest: text.as_bytes(),
        lines_read: Rc::clone(&lines_read),
        at_start: true,
    }) {
        let end = lines_read.get();
        let start = (previous_end..end)
            .find(|line| lines.get(*line).is_some_and(|line| is_entry(line)))
            .unwrap_or(previous_end);
        previous_end = end;
        let place = format!("{file}:{}", start + 1);
        match entry {
            Ok((name, value)) => {
                let source = lines.get(start..end).unwrap_or_default().join("\n");
                if references(&source).iter().all(|reference| is_set(reference, &set)) {
                    set.insert(name.clone());
                } else if is_ours(&name) {
                    return Err(refers_to_nothing(&place, &name));
                } else {
                    // Its value lacks a part, so a variable of ours that refers to it would too.
                    set.remove(&name);
                }
                if is_ours(&name) {
                    let origin = Origin::Dotenv { file: Rc::clone(&file), line: start + 1 };
                    variables.push(Variable { origin, name, value });
                }
            }
            // dotenvy's error quotes the line, which may contain a secret.
            Err(_) if end - start > 1 || lines.get(start).is_none_or(|line| is_ours(name_in(line))) => {
                return Err(Error::config(format!("{place}: not a line of the form NAME=value")).with_hint(
                    "put a value with spaces, #, $, quotes or backslashes in single quotes, and close each quote",
                ));
            }
            Err(_) => {}
        }
    }
    Ok(variables)
}

/// Whether dotenvy replaces `$reference` by a value: one of the process, or of an earlier line.
fn is_set(reference: &str, set: &HashSet<String>) -> bool {
    std::env::var(reference).is_ok() || set.contains(reference)
}

/// Without the reference itself, which may be a part of a password, such as `pa$$word`.
fn refers_to_nothing(place: &str, name: &str) -> Error {
    Error::config(format!("{place}: {name}: a `$` refers to no variable that is set, and would become nothing"))
        .with_hint("put a value with $ in single quotes; to refer to a variable, set it before, and write ${NAME}")
}

fn is_entry(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with('#')
}

fn name_in(line: &str) -> &str {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default()
}

/// Returns at most one line for each read: dotenvy's buffer never runs ahead, so the number of lines read is its position.
struct LineByLine<'a> {
    rest: &'a [u8],
    lines_read: Rc<Cell<usize>>,
    at_start: bool,
}

impl Read for LineByLine<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let line = self.rest.iter().position(|byte| *byte == b'\n').map_or(self.rest.len(), |newline| newline + 1);
        let length = line.min(buffer.len());
        if length == 0 {
            return Ok(0);
        }
        let (given, rest) = self.rest.split_at(length);
        buffer[..length].copy_from_slice(given);
        self.rest = rest;
        self.lines_read.set(self.lines_read.get() + usize::from(self.at_start));
        self.at_start = given.ends_with(b"\n");
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(text: &str) -> Vec<(String, String, String)> {
        let variables = read(".env", text).unwrap();
        variables.iter().map(|v| (v.origin.to_string(), v.name.clone(), v.value.clone())).collect()
    }

    #[test]
    fn our_variables_have_their_line_numbers() {
        let text = "\u{feff}# comment\n\nOTHER=x\nCXONE_CLIENT_ID=one # comment\r\nexport DB_NAME='a #b $c'\n\n#\nDB_PASSWORD=\"x\ny\"\nDB_USER=me";
        let expected = [
            (".env:4", "CXONE_CLIENT_ID", "one"),
            (".env:5", "DB_NAME", "a #b $c"),
            (".env:8", "DB_PASSWORD", "x\ny"),
            (".env:10", "DB_USER", "me"),
        ];
        assert_eq!(read_all(text), expected.map(|(origin, name, value)| (origin.into(), name.into(), value.into())));
    }

    #[test]
    fn other_programs_lines_are_skipped() {
        let read = read_all("TITLE=My App\n%%%\nDB_NAME=cx\n");
        assert_eq!(read, [(".env:3".into(), "DB_NAME".into(), "cx".into())]);
    }

    #[test]
    fn errors_name_a_bad_line_and_never_quote_it() {
        let check = |text: &str, line: &str| {
            let error = read(".env", text).err().unwrap();
            assert!(error.message().starts_with(line), "{error:?}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        };
        check("A=b\nDB_PASSWORD=hunter2 hunter2\n", ".env:2:");
        check("\nexport DB_PASSWORD=hunter2 hunter2", ".env:2:");
        check("DB_PASSWORD 'hunter2'=\n", ".env:1:");
        check("A=b\n\nTITLE='hunter2\nDB_NAME=cx\n", ".env:3:");
    }

    #[test]
    fn a_reference_to_nothing_is_an_error_that_names_the_line() {
        let check = |text: &str, line: &str| {
            let error = read(".env", text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(error.message().starts_with(line), "{error:?}");
            assert!(error.hint().unwrap().contains("single quotes"), "{error:?}");
            assert!(!format!("{error:?}").contains("hunter"), "{error:?}");
        };
        check("DB_PASSWORD=pa$hunter\n", ".env:1: DB_PASSWORD: ");
        check("A=b\nDB_PASSWORD=pa$$hunter", ".env:2: DB_PASSWORD: ");
        check("DB_PASSWORD=hunter$", ".env:1: ");
        check("DB_PASSWORD=\"hunter$-x\"", ".env:1: ");
        check("\nDB_HOST=${NO_SUCH_NAME}.example", ".env:2: DB_HOST: ");
        check("BASE=x$NOSUCHNAME\nDB_HOST=${BASE}", ".env:2: DB_HOST: ");
        check("HOST=db\nDB_HOST=$HOST_NAME$UNSET", ".env:2: ");
    }

    #[test]
    fn a_reference_to_a_variable_that_is_set_is_replaced() {
        let text = "HOST=db\nEMPTY=\nDB_HOST=$HOST.example${EMPTY}\nDB_PASSWORD='pa$$word'\nDB_USER=a\\$b\nDB_NAME=x # $UNSET\nOTHER=$UNSET\n";
        let values: Vec<_> = read_all(text).into_iter().map(|(_, name, value)| (name, value)).collect();
        let expected = [("DB_HOST", "db.example"), ("DB_PASSWORD", "pa$$word"), ("DB_USER", "a$b"), ("DB_NAME", "x")];
        assert_eq!(values, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let path = std::env::var("PATH").unwrap();
        assert_eq!(read_all("DB_NAME=\"${PATH}\"")[0].2, path);
    }

    #[test]
    fn a_line_longer_than_the_buffer_is_read_whole() {
        let long = "x".repeat(100_000);
        let read = read_all(&format!("DB_NAME={long}\nDB_USER=me"));
        assert_eq!((read[0].2.len(), read[1].0.as_str()), (100_000, ".env:2"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "([A-Z_]{0,3}|DB_NAME|=|['\"$\\\\{}#é \n\r\t]|[a-z]|.){0,40}") {
            let _ = read(".env", &text);
        }
    }
}
