//! The layer of `.env`: the variables of the file in the working directory. They never reach the process's environment.
//!
//! Other programs share the file. A line of theirs that dotenvy cannot read (an unquoted value with spaces, which other
//! readers accept) is skipped; such a line with one of our variables is an error.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use crate::config::environment::is_ours;
use crate::config::variables::{Origin, Variable, Variables};
use crate::error::{Error, Result};

pub(super) fn read(text: &str) -> Result<Variables> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines: Vec<&str> = text.lines().collect();
    let lines_read = Rc::new(Cell::new(0));
    let mut variables = Variables::default();
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
        match entry {
            Ok((name, value)) if is_ours(&name) => {
                variables.push(Variable { origin: Origin::Dotenv { line: start + 1 }, name, value });
            }
            // dotenvy's error quotes the line, which may contain a secret.
            Err(_) if end - start > 1 || lines.get(start).is_none_or(|line| is_ours(name_in(line))) => {
                return Err(Error::config(format!(".env:{}: not a line of the form NAME=value", start + 1)).with_hint(
                    "put a value with spaces, #, $, quotes or backslashes in single quotes, and close each quote",
                ));
            }
            Ok(_) | Err(_) => {}
        }
    }
    Ok(variables)
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
        let variables = read(text).unwrap();
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
            let error = read(text).err().unwrap();
            assert!(error.message().starts_with(line), "{error:?}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        };
        check("A=b\nDB_PASSWORD=hunter2 hunter2\n", ".env:2:");
        check("\nexport DB_PASSWORD=hunter2 hunter2", ".env:2:");
        check("DB_PASSWORD 'hunter2'=\n", ".env:1:");
        check("A=b\n\nTITLE='hunter2\nDB_NAME=cx\n", ".env:3:");
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
            let _ = read(&text);
        }
    }
}
