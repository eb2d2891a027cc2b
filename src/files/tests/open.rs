#![cfg(unix)]

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: &[u8], mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[track_caller]
fn assert_refused<T>(outcome: io::Result<T>, why: &str) {
    let error = outcome.err().unwrap();
    assert!(error.to_string().contains(why), "{error}");
}

#[test]
fn a_file_is_read_whole_up_to_its_limit() {
    let folder = Folder::new();
    let path = folder.file("f", &[b'x'; 2048], 0o644);
    assert_eq!(read(&path, 2048).unwrap().len(), 2048);
    assert_refused(read(&path, 2047), "larger than 1 KiB");
    assert_refused(read(Path::new("/dev/zero"), 1 << 20), "larger than 1 MiB");
    assert_eq!(read(Path::new("/dev/null"), 1).unwrap(), b"");
    let link = folder.path("link");
    symlink(&path, &link).unwrap();
    assert_eq!(read(&link, 4096).unwrap().len(), 2048, "a link is followed for reading");
}

#[test]
fn a_fifo_or_a_folder_is_refused_at_once() {
    let folder = Folder::new();
    let fifo = folder.fifo("fifo");
    assert_refused(read(&fifo, 10), "FIFO");
    assert_refused(read_trusted_text(&fifo, 10), "FIFO");
    assert_refused(read(folder.0.path(), 10), "directory");
}

#[test]
fn text_is_utf8_without_a_byte_order_mark() {
    let folder = Folder::new();
    let bom = folder.file("bom", "\u{feff}text".as_bytes(), 0o644);
    assert_eq!(read_text(&bom, 100).unwrap(), "text");
    let binary = folder.file("binary", b"\xff\xfe", 0o644);
    assert_refused(read_text(&binary, 100), "not UTF-8");
}

#[test]
fn a_file_that_others_may_write_is_not_trusted() {
    let folder = Folder::new();
    for mode in [0o600, 0o644, 0o664, 0o640] {
        assert_eq!(read_trusted_text(&folder.file("good", b"x", mode), 10).unwrap(), "x", "{mode:o}");
    }
    let open = folder.file("open", b"x", 0o666);
    assert_refused(read_trusted_text(&open, 10), "every user may write to it");
    let link = folder.path("link");
    symlink(&open, &link).unwrap();
    assert_refused(read_trusted_text(&link, 10), "every user may write to it");
}

#[test]
fn what_is_made_is_for_this_user_only() {
    let folder = Folder::new();
    let file = folder.path("made");
    create_private(&file).unwrap();
    assert_eq!(mode(&file), 0o600);
    assert_refused(create_private(&file), "exists");
    let inner = folder.path("outer/inner");
    create_private_folder(&inner).unwrap();
    assert_eq!((mode(&folder.path("outer")), mode(&inner)), (0o700, 0o700));
    create_private_folder(&inner).unwrap();
}

#[test]
fn no_link_is_followed_for_writing() {
    let folder = Folder::new();
    let victim = folder.file("victim", b"precious", 0o644);
    let link = folder.path("link");
    symlink(&victim, &link).unwrap();
    create_private(&link).unwrap_err();
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}
