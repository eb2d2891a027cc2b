//! Files that are opened by their name: of the configuration, secrets, certificates, schemas, and those that the sink makes.
//!
//! A name can lead to anything: a FIFO without a writer, `/dev/zero`, another user's file in a folder for all, a link to a file
//! that must not be written. So every file is opened here, by its kind, size, owner and mode. A file on a network file system whose server
//! is away has no deadline (docs/limits.md).

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// Opens a file for reading, if it is one: a FIFO has no deadline, and has nothing to say the second time.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    without_waiting(&mut options);
    let file = options.open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    // `/dev/null` is a file with nothing in it.
    if kind.is_file() || is_character_device(kind) {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file, but a FIFO or a device"))
    }
}

/// Reads a file of at most `bytes_max` bytes, by [`open`].
pub(crate) fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    read_opened(open(path)?, bytes_max)
}

/// As [`read`], as text without a byte order mark.
pub(crate) fn read_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    text(read(path, bytes_max)?)
}

/// As [`read_text`], if only this user, or root, can have written the file.
///
/// # Errors
/// `PermissionDenied`: the file or the link that leads to it belongs to another user, or every user may write to it.
pub(crate) fn read_trusted_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    let file = open(path)?;
    check_owner(&fs::symlink_metadata(path)?)?;
    check_owner(&file.metadata()?)?;
    text(read_opened(file, bytes_max)?)
}

fn read_opened(file: File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {}", size(bytes_max))));
    }
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    let text = String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))?;
    Ok(text.strip_prefix('\u{feff}').map(Into::into).unwrap_or(text))
}

fn size(bytes: u64) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}

/// The options that open a file for writing, or create it for this user only (mode 0600).
pub(crate) fn private_options() -> fs::OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Creates a file for this user only (mode 0600), which must not be there.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    private_options().create_new(true).open(path).map(with_owners_rights)
}

/// Gives the owner of a new file the rights that a umask has taken: nobody could open it again.
pub(crate) fn with_owners_rights(file: File) -> File {
    #[cfg(unix)]
    if let Ok(found) = file.metadata() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        if found.len() == 0 && found.mode() & 0o600 != 0o600 {
            // Some file systems have no modes.
            let _ = file.set_permissions(fs::Permissions::from_mode(0o600));
        }
    }
    file
}

/// Tries whether a file can be written: creates one here, of these bytes, and removes it again, also after a failed write.
///
/// # Errors
/// `AlreadyExists`: another thread tries it at this moment; its file stays.
pub(crate) fn probe(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create_private(path)?;
    // Some file systems find out only with the flush that there is no room.
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let removed = fs::remove_file(path);
    written.and(removed)
}

/// Creates the folder and those above it, for this user only (mode 0700), as far as they are not there.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent() {
        create_private_folder(above)?;
    }
    match fs::create_dir(path) {
        // By another thread or process, a moment ago.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        created => created.and_then(|()| make_private(path)),
    }
}

/// Whatever the umask: only this user, who has all rights.
#[cfg(unix)]
fn make_private(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))
}

#[cfg(not(unix))]
fn make_private(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The space that this user may still take in the folder's file system; `None` where the system does not tell.
#[cfg(unix)]
pub(crate) fn free_bytes(directory: &Path) -> io::Result<Option<u64>> {
    let found = rustix::fs::statvfs(directory)?;
    Ok(Some(found.f_bavail.saturating_mul(found.f_frsize)))
}

#[cfg(not(unix))]
pub(crate) fn free_bytes(_: &Path) -> io::Result<Option<u64>> {
    Ok(None)
}

#[cfg(unix)]
fn without_waiting(options: &mut fs::OpenOptions) {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
}

#[cfg(not(unix))]
fn without_waiting(_: &mut fs::OpenOptions) {}

#[cfg(unix)]
fn is_character_device(kind: fs::FileType) -> bool {
    std::os::unix::fs::FileTypeExt::is_char_device(&kind)
}

#[cfg(not(unix))]
fn is_character_device(_: fs::FileType) -> bool {
    false
}

/// Whether the file belongs to this process's user, or to root, who may do anything anyway.
#[cfg(unix)]
pub(crate) fn is_of_this_user(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    found.uid() == 0 || found.uid() == rustix::process::geteuid().as_raw()
}

/// Whether only this user, or root, can have written it.
#[cfg(unix)]
fn check_owner(found: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let denied = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    if !is_of_this_user(found) {
        return denied(format!("it belongs to another user (uid {})", found.uid()));
    }
    // A link has no mode of its own.
    if !found.is_symlink() && found.mode() & 0o002 != 0 {
        return denied("every user may write to it".into());
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owner(_: &fs::Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
#[path = "tests/open.rs"]
mod tests;
