//! Files that are written whole, for this user only: no reader gets a part of one.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::files::open::create_private;

/// Creates the file with this text. Nothing of it stays if that fails: half a file would be in the way of the next attempt.
pub(crate) fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut file = create_private(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.inspect_err(|_| drop(fs::remove_file(path)))
}

/// Creates the file, or puts it in the place of another one. It is written beside that and renamed: a failure leaves the old file, and a
/// link is replaced and not followed.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    let mut beside = OsString::from(path);
    beside.push(format!(".{:08x}", fastrand::u32(..)));
    let beside = PathBuf::from(beside);
    create(&beside, text)?;
    fs::rename(&beside, path).inspect_err(|_| drop(fs::remove_file(&beside)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        create(&path, "first").unwrap();
        assert_eq!(create(&path, "second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        replace(&path, "third").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "third");
        assert_eq!(replace(folder.path(), "x").unwrap_err().kind(), io::ErrorKind::IsADirectory);
        #[cfg(unix)]
        {
            let link = folder.path().join("link");
            std::os::unix::fs::symlink("file", &link).unwrap();
            replace(&link, "fourth").unwrap();
            assert_eq!(
                (fs::read_to_string(&path).unwrap(), fs::read_to_string(&link).unwrap()),
                ("third".into(), "fourth".into())
            );
            assert!(!link.is_symlink());
        }
        assert!(fs::read_dir(folder.path()).unwrap().count() <= 2, "nothing is left beside them");
    }
}
