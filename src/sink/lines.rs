//! The lines of an input, as they arrive: a file, or a pipe that stays open.

use std::io::{self, BufRead};

/// The longest line. The limit of an event is far below.
const LINE_BYTES_MAX: usize = 64 << 20;
/// The same of an export: it may hold the largest message that is kept, with escapes or in hexadecimal.
const EXPORT_LINE_BYTES_MAX: usize = 256 << 20;

/// The next part of an input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    /// A line, without white space around it; the last one may lack its end.
    Line(&'a [u8]),
    /// Every byte that has arrived was returned: the next call may block.
    Drained,
    End,
}

/// Splits an input into lines of bounded length. A byte order mark at its beginning is skipped.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    input: R,
    line_bytes_max: usize,
    line: Vec<u8>,
    /// Whether `line` was returned.
    is_returned: bool,
    /// Bytes that have arrived and are not in `line` yet.
    arrived: usize,
    is_drained: bool,
    /// The number of the line, from 1 on.
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        let line_bytes_max = LINE_BYTES_MAX;
        Self { input, line_bytes_max, line: Vec::new(), is_returned: false, arrived: 0, is_drained: true, number: 0 }
    }

    /// The lines of an export of dead letters.
    pub(crate) fn of_export(input: R) -> Self {
        Self { line_bytes_max: EXPORT_LINE_BYTES_MAX, ..Self::new(input) }
    }

    /// The number of the line that was returned last.
    #[cfg(any(test, feature = "cli"))]
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether the next call may block.
    pub(crate) fn is_drained(&self) -> bool {
        self.arrived == 0 && self.is_drained
    }

    /// The bytes of a line whose end has not arrived.
    pub(crate) fn incomplete(&self) -> usize {
        if self.is_returned { 0 } else { self.line.len() }
    }

    /// # Errors
    /// The input cannot be read, a line is too long, or the input is not text of one byte a character.
    pub(crate) fn next(&mut self) -> io::Result<Next<'_>> {
        if std::mem::take(&mut self.is_returned) {
            self.line.clear();
        }
        loop {
            if self.arrived == 0 && !std::mem::replace(&mut self.is_drained, true) {
                return Ok(Next::Drained);
            }
            let buffer = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if buffer.is_empty() {
                return if self.line.is_empty() { Ok(Next::End) } else { self.whole() };
            }
            let room = self.line_bytes_max - self.line.len();
            let mut part = &buffer[..buffer.len().min(room)];
            let read = part.read_until(b'\n', &mut self.line)?;
            self.arrived = buffer.len() - read;
            self.is_drained = false;
            self.input.consume(read);
            if self.line.ends_with(b"\n") {
                return self.whole();
            }
            if self.line.len() == self.line_bytes_max {
                let limit = self.line_bytes_max >> 20;
                return Err(io::Error::other(format!("a line is longer than {limit} MiB; is the input JSON Lines?")));
            }
        }
    }

    /// Returns the line.
    fn whole(&mut self) -> io::Result<Next<'_>> {
        self.is_returned = true;
        self.number += 1;
        let line = if self.number == 1 { without_mark(&self.line)? } else { &self.line };
        Ok(Next::Line(line.trim_ascii()))
    }
}

/// The first line of a text without its byte order mark.
///
/// # Errors
/// The first bytes are those of another format.
fn without_mark(line: &[u8]) -> io::Result<&[u8]> {
    const FORMATS: [(&[u8], &str); 5] = [
        (&[0x1f, 0x8b], "it is compressed (gzip): decompress it first, for example with `gunzip -c FILE`"),
        (&[0x28, 0xb5, 0x2f, 0xfd], "it is compressed (zstd): decompress it first, for example with `zstd -dc FILE`"),
        (b"PK\x03\x04", "it is a ZIP archive: extract its files first"),
        (&[0xff, 0xfe], "it is UTF-16: convert it to UTF-8 first"),
        (&[0xfe, 0xff], "it is UTF-16: convert it to UTF-8 first"),
    ];
    match FORMATS.into_iter().find(|(magic, _)| line.starts_with(magic)) {
        Some((_, is_what)) => Err(io::Error::new(io::ErrorKind::InvalidData, is_what)),
        None => Ok(line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// Every line with its number, and where the input was drained (`-`).
    fn all(input: impl BufRead) -> io::Result<Vec<String>> {
        let mut lines = Lines::new(input);
        let mut found = Vec::new();
        loop {
            let next = match lines.next()? {
                Next::Line(line) => String::from_utf8_lossy(line).into_owned(),
                Next::Drained => "-".into(),
                Next::End => return Ok(found),
            };
            found.push(if next == "-" { next } else { format!("{}{next}", lines.number()) });
        }
    }

    #[test]
    fn lines_are_returned_before_the_input_may_block() {
        assert_eq!(all(&b"a\n\n b \r\nc"[..]).unwrap(), ["1a", "2", "3b", "-", "4c"]);
        let in_pieces = BufReader::with_capacity(3, &b"a\nbcd\nef"[..]);
        assert_eq!(all(in_pieces).unwrap(), ["1a", "-", "2bcd", "-", "-", "3ef"]);
        assert_eq!(all(&b""[..]).unwrap(), [""; 0]);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        assert_eq!(all("\u{feff}{}\n\u{feff}{}\n".as_bytes()).unwrap(), ["1{}", "2\u{feff}{}", "-"]);
    }

    #[test]
    fn other_formats_are_named() {
        for (input, name) in [(&b"\x1f\x8b\x08\0abc"[..], "gzip"), (b"\xff\xfe{\0", "UTF-16"), (b"PK\x03\x04", "ZIP")] {
            let error = all(input).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_bounded() {
        let error = all(BufReader::new(io::repeat(b'x'))).unwrap_err();
        assert!(error.to_string().contains("64 MiB"), "{error}");
    }
}
