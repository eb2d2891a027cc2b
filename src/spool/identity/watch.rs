//! Watching the spool's files while they are open: whether they are still there under their names, and whole.
//!
//! SQLite does not notice when a file that it has open is removed, replaced or moved: the events in it reach the table, but no later
//! process finds them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Class, Error};
use crate::files::open::{create_private, create_private_folder, free_bytes};
use crate::spool::identity::inode::{FileId, Inode};
use crate::spool::identity::lock::Lock;
use crate::spool::identity::opened::Opened;
use crate::spool::identity::own_file::beside;
use crate::spool::queue::Spool;
use crate::time::clock::{Clock, SystemClock};

/// The time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// The time between two looks at a file that looks too short, and how long it must do so.
const DOUBT_INTERVAL: Duration = Duration::from_millis(100);
const DOUBT_MIN: Duration = Duration::from_secs(3);
/// Less free space than this counts as none: the sink's own log takes it.
const LOG_MAX: u64 = 4 << 20;
/// How often a loss is reported until its events are in the table.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

const LOST_HINT: &str = "let the sink end by itself, when the events that it still has are in the table, and find out which program \
    does this; start it again afterwards, with the spool's own files in their place";

/// The state of a watch.
#[derive(Debug)]
pub(in crate::spool) struct Watch {
    next: Instant,
    /// The size at the last look that found nothing wrong.
    size: u64,
    /// The size that the file should have, the one that it had at a look that found less, and the time of the first such look.
    doubt: Option<((u64, u64), Instant)>,
    /// The number of the file's names at the last look.
    names: u64,
}

/// The outcome of a look.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Good,
    /// It may change at this moment.
    Doubtful,
    Lost(String),
}

impl Watch {
    pub(in crate::spool) fn begin(spool: &Spool) -> Self {
        Self { next: Instant::now(), size: spool.opened.size, doubt: None, names: 1 }
    }

    /// The time until the next look.
    pub(in crate::spool) fn wait(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Looks, if it is time. `report` gets what does not end the sink, `lose` the loss of the file.
    pub(in crate::spool) fn look(&mut self, spool: &Spool, report: impl Fn(&Error), lose: impl Fn(&Error)) {
        if !self.wait().is_zero() {
            return;
        }
        self.next = Instant::now() + INTERVAL;
        if let Some(lost) = spool.lost() {
            self.next = Instant::now() + REPORT_INTERVAL;
            let pending = spool.pending().events;
            if pending > 0 {
                report(&lost.while_doing(format_args!("{pending} of its events are not in the table yet")));
            }
            return;
        }
        let names = self.names;
        let look = spool.with_lock(|lock| self.examine(lock.inode(), spool)).unwrap_or(Look::Good);
        match look {
            Look::Good => {}
            Look::Doubtful => self.next = Instant::now() + DOUBT_INTERVAL,
            Look::Lost(what) => {
                if spool.with_lock(|lock| lock.inode().is_removed()).unwrap_or(false) {
                    remove_companions(&spool.opened);
                }
                let error = Error::spool(format!("watching the spool {}: {what}", spool.path().display()));
                let error = error.with_hint(LOST_HINT);
                spool.note_lost(&error);
                lose(&error);
                self.next = Instant::now() + REPORT_INTERVAL;
            }
        }
        if self.names > 1 && names == 1 {
            let message =
                format!("watching the spool {}: the file has got another name, a hard link", spool.path().display());
            let hint =
                "remove the other name: the next start refuses a file with two names, because its log has only one";
            report(&Error::spool(message).with_class(Class::Transient).with_hint(hint));
        }
    }

    fn examine(&mut self, inode: &Inode, spool: &Spool) -> Look {
        let path = spool.path();
        let Ok(metadata) = inode.metadata() else { return Look::Good };
        #[cfg(unix)]
        {
            self.names = std::os::unix::fs::MetadataExt::nlink(&metadata);
            if self.names == 0 {
                let what = if path.exists() { "replaced by another one" } else { "removed" };
                return Look::Lost(format!("the file was {what}"));
            }
        }
        if let Some(what) = displaced(path, inode.id()) {
            let place = inode.place().map_or_else(String::new, |place| format!("; it is {} now", place.display()));
            return Look::Lost(format!("the file was {what}{place}"));
        }
        let displaced = spool.opened.companions.iter().find_map(|(path, id)| Some((path, displaced(path, *id)?)));
        if let Some((path, what)) = displaced {
            return Look::Lost(format!("its part {} was {what}", path.display()));
        }
        self.examine_size(inode, path, metadata.len())
    }

    /// While the log is copied into the file, its header may already name the pages that are written next; on a full disk for as long
    /// as these do not fit, and the sink itself may have shortened the file before. So a file is truncated only if it stays shorter
    /// than it was although there is space for the rest.
    fn examine_size(&mut self, inode: &Inode, path: &Path, size: u64) -> Look {
        let Some(expected) = inode.header().map(|header| size_in(&header)) else { return Look::Good };
        let lost = |what: &str| Look::Lost(format!("the file was {what} ({size} bytes are left)"));
        let seen = (expected.unwrap_or(0), size);
        let before = self.doubt.filter(|(before, _)| *before == seen);
        let since = before.map_or_else(Instant::now, |(_, since)| since);
        self.doubt = Some((seen, since));
        match expected {
            _ if size == 0 => lost("truncated"),
            Some(expected) if size >= expected.min(self.size) => {
                (self.size, self.doubt) = (size, None);
                Look::Good
            }
            Some(expected) if since.elapsed() < DOUBT_MIN || !has_space(path, expected - size) => Look::Doubtful,
            Some(_) => lost("truncated"),
            None if before.is_none() => Look::Doubtful,
            None => lost("overwritten"),
        }
    }
}

/// The log of a file that is gone would be taken for that of a new file under its name.
fn remove_companions(opened: &Opened) {
    for (path, id) in &opened.companions {
        if displaced(path, *id).is_none()
            && let Err(error) = fs::remove_file(path)
        {
            log::warn!("removing {}: {error}", path.display());
        }
    }
}

/// Whether the file may grow by this much; true where the system does not tell.
fn has_space(path: &Path, bytes: u64) -> bool {
    path.parent().and_then(|folder| free_bytes(folder).ok()?).is_none_or(|free| free > bytes + LOG_MAX)
}

/// The fate of a file whose name does not mean it any more.
fn displaced(path: &Path, id: FileId) -> Option<&'static str> {
    match fs::metadata(path) {
        Ok(found) if FileId::of(&found) == id => None,
        Ok(_) => Some("replaced by another one"),
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            Some("moved away or removed")
        }
        // The directory cannot be read at this moment.
        Err(_) => None,
    }
}

/// The size that the header names (SQLite, "Database File Format", section 1.3); `None` if it is not the header of a database.
fn size_in(header: &[u8; 100]) -> Option<u64> {
    let text = header.strip_prefix(b"SQLite format 3\0")?;
    let page = match u16::from_be_bytes([text[0], text[1]]) {
        1 => 65_536,
        size => u64::from(size),
    };
    let pages = u32::from_be_bytes([header[28], header[29], header[30], header[31]]);
    Some(page * u64::from(pages))
}

impl Spool {
    /// At the end: saves the events of a file whose name is gone, as far as they are not in the table.
    pub(in crate::spool) fn save_if_removed(&self, writer: &rusqlite::Connection, lock: &mut Lock) {
        let pending = self.pending().events;
        if pending == 0 || !lock.inode().is_removed() {
            return;
        }
        match save(writer, self.path(), lock) {
            Ok(path) if path == self.path() => {
                log::warn!(
                    "the spool's file was removed; {pending} events that it still has are saved in a new {}",
                    path.display()
                );
            }
            Ok(path) => log::warn!(
                "the spool's file was removed; {pending} events that it still has are saved in {}: set spool.path to it for one run",
                path.display()
            ),
            Err(error) => log::error!("saving {pending} events of the spool, whose file was removed: {error}"),
        }
    }
}

/// Writes a copy under the old name, or beside it if another file has that.
fn save(writer: &rusqlite::Connection, path: &Path, lock: &mut Lock) -> Result<PathBuf, Box<dyn std::error::Error>> {
    if let Some(directory) = path.parent() {
        create_private_folder(directory)?;
    }
    let mut target = path.to_owned();
    // The next process must not open it before SQLite has deleted the old log, by its name.
    if !lock.hold_name(path) || create_private(&target).is_err() {
        target = beside(path, &format!("saved-{}", SystemClock.unix_micros() / 1_000_000));
        create_private(&target)?;
    }
    let name = target.to_str().ok_or("its path is not UTF-8")?;
    writer.execute("VACUUM INTO ?1", [name])?;
    Ok(target)
}

#[cfg(test)]
#[path = "../tests/watch.rs"]
mod tests;
