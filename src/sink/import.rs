//! Events from JSON Lines: a file or a pipe.

use std::io::BufRead;

use super::handle::Sink;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Burst;

impl Sink {
    /// Accepts events from JSON Lines, one event a line, and skips empty lines. Returns the number of events accepted.
    ///
    /// Invalid events become dead letters, as those of the stream do; [`ingest`](Self::ingest) refuses them instead. Lines are accepted
    /// many at a time: those of a slow pipe wait until there are enough, or until its end. Blocks while the spool is full.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if a line cannot be read; `STATE` when the sink is stopping; `SPOOL` if the file cannot be written. The message
    /// says how many events before it were accepted. `FORKED` in a forked child.
    pub fn import(&self, mut lines: impl BufRead) -> Result<u64> {
        self.check_process()?;
        let mut burst = Burst::default();
        let mut line = Vec::new();
        let mut accepted = 0;
        loop {
            line.clear();
            let read = read_line(&mut lines, &mut line);
            let event = if read.is_ok() { line.trim_ascii() } else { b"" };
            if !event.is_empty() {
                burst.push(event);
            }
            let is_end = !matches!(read, Ok(1..));
            if !burst.is_empty() && (burst.is_full() || is_end) {
                self.append(&burst, None)
                    .map_err(|error| error.while_doing(format_args!("after {accepted} events")))?;
                accepted += burst.events() as u64;
                burst.clear();
            }
            match read {
                Ok(0) => return Ok(accepted),
                Ok(_) => {}
                Err(error) => {
                    let message = format!("reading the line after {accepted} accepted events: {error}");
                    return Err(Error::new(ErrorKind::InvalidArgument, message).caused_by(error));
                }
            }
        }
    }
}

/// The longest line. The limit of an event is far below.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// Reads one line of bounded length; returns 0 at the end.
fn read_line(lines: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<usize> {
    let read = std::io::Read::take(&mut *lines, LINE_BYTES_MAX).read_until(b'\n', line)?;
    if read as u64 == LINE_BYTES_MAX && !line.ends_with(b"\n") {
        return Err(std::io::Error::other("a line is longer than 64 MiB; is the input JSON Lines?"));
    }
    Ok(read)
}
