//! A disk of a test's own that can be full.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of 24 MiB, gone with its test. 16 of them are the spool's reserve.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`, having said so, where it cannot be made and this is not a run that must be complete.
    #[allow(clippy::print_stderr, reason = "a skipped test says that it was skipped")]
    pub fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=24m,mode=700", "cxsink-test"]).arg(directory.path());
        match mount.output() {
            Ok(outcome) if outcome.status.success() => Some(Self(directory)),
            outcome => {
                let reason = outcome.map(|outcome| String::from_utf8_lossy(&outcome.stderr).trim().to_owned());
                let reason = format!("a small file system is needed, and mounting a tmpfs failed: {reason:?}");
                assert!(std::env::var_os("CI").is_none(), "{reason}");
                eprintln!("skipped: {reason}");
                None
            }
        }
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A file that takes all the room there is but so many bytes.
    pub fn fill(&self, left: u64) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        while std::io::Write::write(&mut file, &[0; 4096]).is_ok() {}
        file.set_len(file.metadata().unwrap().len() - left).unwrap();
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
