//! The input of `import` and `validate`.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, ErrorKind, Result};

/// A file or the standard input, which can be ended from another thread, also while a pipe is silent.
pub(super) struct Input {
    file: File,
    end: Arc<AtomicBool>,
}

/// Opens the file, or the standard input for `-`. Once `end` is set, no byte is taken from it any more.
pub(super) fn open(file: &Path, end: Arc<AtomicBool>) -> Result<BufReader<Input>> {
    let opened = if file.as_os_str() == "-" { standard_input() } else { File::open(file) };
    let file = opened
        .map_err(|error| Error::new(ErrorKind::InvalidArgument, format!("opening {}: {error}", file.display())))?;
    Ok(BufReader::with_capacity(256 * 1024, Input { file, end }))
}

#[cfg(unix)]
fn standard_input() -> io::Result<File> {
    use std::os::fd::AsFd;
    io::stdin().as_fd().try_clone_to_owned().map(File::from)
}

#[cfg(windows)]
fn standard_input() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    io::stdin().as_handle().try_clone_to_owned().map(File::from)
}

/// Waits until the file can be read, for a tenth of a second at most; true if it can.
#[cfg(unix)]
fn is_ready(file: &File) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let wait = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    // After an error, the read tells it.
    !matches!(poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&wait)), Ok(0) | Err(rustix::io::Errno::INTR))
}

#[cfg(not(unix))]
fn is_ready(_file: &File) -> bool {
    true
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.end.load(Ordering::SeqCst) {
                return Err(io::Error::other("the import was ended before the end of the input"));
            }
            if is_ready(&self.file) {
                return self.file.read(buffer);
            }
        }
    }
}
