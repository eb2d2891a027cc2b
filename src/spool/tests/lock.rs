#![cfg(unix)]

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn refused(&self, name: &str) -> String {
        let error = acquire(&self.path(name)).unwrap_err();
        assert!(error.hint().is_some(), "{error:?}");
        error.to_string()
    }
}

#[test]
fn a_released_lock_is_free_while_a_starting_program_has_the_descriptor() {
    let place = Place::new();
    let (path, lock) = acquire(&place.path("spool.db")).unwrap();
    // As between fork and exec in another thread.
    let _copy = lock.inode.file().unwrap().try_clone().unwrap();
    let _copy_of_file = lock.file.as_ref().unwrap().try_clone().unwrap();
    drop(lock);
    assert_eq!(holder(&path), None);
    acquire(&path).unwrap();
}

#[test]
fn a_forked_child_leaves_the_lock_to_its_parent() {
    let place = Place::new();
    let (path, lock) = acquire(&place.path("spool.db")).unwrap();
    let inode = Inode::open(&path, &open::private_options()).unwrap();
    let file = Some(lock.file.as_ref().unwrap().try_clone().unwrap());
    let (is_on_inode, process) = (lock.is_on_inode, lock.process + 1);
    drop(Lock { inode, file, is_on_inode, hold: Hold::InUse, process });
    assert!(acquire(&path).is_err());
}

#[test]
fn every_name_of_a_file_is_one_spool() {
    let place = Place::new();
    fs::create_dir(place.path("folder")).unwrap();
    let (path, lock) = acquire(&place.path("folder/spool.db")).unwrap();
    symlink(&path, place.path("link.db")).unwrap();
    symlink(place.path("folder"), place.path("link")).unwrap();
    for name in ["folder/spool.db", "folder/../folder/spool.db", "link.db", "link/spool.db"] {
        let refused = place.refused(name);
        assert!(refused.contains("in use by process"), "{name}: {refused}");
        assert!(holder(&place.path(name)).is_some_and(|holder| holder.contains("process")), "{name}");
    }
    // Without the lock file its holder has no name, but it is held.
    fs::remove_file(beside(&path, "lock")).unwrap();
    if lock.is_on_inode {
        assert!(place.refused("link.db").contains("in use by"));
        fs::hard_link(&path, place.path("hard.db")).unwrap();
        assert!(place.refused("hard.db").contains("in use by"));
        fs::remove_file(place.path("hard.db")).unwrap();
    }
    drop(lock);
    let (found, _lock) = acquire(&place.path("link.db")).unwrap();
    assert_eq!(found, path, "the log and the lock are beside the file itself");
    assert!(!place.path("link.db.lock").exists() && !place.path("hard.db.lock").exists());
}

#[test]
fn a_file_with_two_names_is_refused() {
    let place = Place::new();
    drop(acquire(&place.path("spool.db")).unwrap());
    fs::hard_link(place.path("spool.db"), place.path("hard.db")).unwrap();
    for name in ["spool.db", "hard.db"] {
        assert!(place.refused(name).contains("hard link"), "{name}");
    }
    fs::remove_file(place.path("spool.db")).unwrap();
    acquire(&place.path("hard.db")).unwrap();
}

#[test]
fn the_lock_file_of_a_stranger_is_refused_and_unchanged() {
    let place = Place::new();
    fs::write(place.path("victim"), "precious").unwrap();
    symlink(place.path("victim"), place.path("spool.db.lock")).unwrap();
    assert!(place.refused("spool.db").contains("symbolic link"));
    assert_eq!(fs::read_to_string(place.path("victim")).unwrap(), "precious");
    fs::remove_file(place.path("spool.db.lock")).unwrap();
    acquire(&place.path("spool.db")).unwrap();
}

#[test]
fn the_text_of_a_lock_file_is_cut_and_has_no_control_characters() {
    let place = Place::new();
    fs::write(place.path("spool.db.lock"), format!("\x1b[2Jforged\nlines \u{e4}{}", "x".repeat(1000))).unwrap();
    let holder = read_holder(&place.path("spool.db")).unwrap();
    assert!(holder.starts_with("[2Jforgedlines xxx") && holder.len() <= HOLDER_CHARS_MAX, "{holder}");
}

#[test]
fn a_spool_that_others_can_write_is_theirs_no_longer() {
    let place = Place::new();
    let path = place.path("spool.db");
    for (mode, expected) in [(0o666, 0o660), (0o644, 0o640), (0o600, 0o600), (0o660, 0o660)] {
        drop(acquire(&path).unwrap());
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        drop(acquire(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, expected, "{mode:o}");
    }
}

/// Only root can give a file away; then this user is root.
#[test]
fn a_spool_of_another_user_is_refused() {
    let place = Place::new();
    let path = place.path("spool.db");
    drop(acquire(&path).unwrap());
    match std::os::unix::fs::chown(&path, Some(12_345), None) {
        Ok(()) => assert!(place.refused("spool.db").contains("another user (12345)")),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
    }
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let place = Place::new();
    std::process::Command::new("mkfifo").arg(place.path("pipe")).status().unwrap();
    assert!(place.refused("pipe").contains("regular file"));
    fs::create_dir(place.path("folder")).unwrap();
    assert!(place.refused("folder").contains("directory"));
}
