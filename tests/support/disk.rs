//! A disk of a test's own that can be full.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::server::is_root;

/// A file system of 24 MiB, gone with its test. 16 of them are the spool's reserve.
pub struct SmallDisk(tempfile::TempDir);

/// Root of a namespace of one's own, which may mount: what every user may become on most systems.
const NAMESPACE: [&str; 3] = ["--user", "--map-root-user", "--mount"];

impl SmallDisk {
    /// `None` when the test needs to do no more: only root may mount, and all of the test has passed in a namespace by now. Fails where
    /// there is no such namespace either.
    pub fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=24m,mode=700", "cxsink-test"]).arg(directory.path());
        let Err(reason) = run(&mut mount) else { return Some(Self(directory)) };
        assert!(!is_root(), "a small file system is needed, and mounting a tmpfs failed: {reason}");
        if let Err(reason) = run(Command::new("unshare").args(NAMESPACE).arg("true")) {
            panic!(
                "a small file system is needed; only root may mount one, and there are no user namespaces either: {reason}"
            );
        }
        let this = std::thread::current();
        let mut again = Command::new("unshare");
        again.args(NAMESPACE).arg(std::env::current_exe().unwrap());
        again.args(["--exact", "--nocapture", this.name().unwrap()]);
        let output = run(&mut again).unwrap_or_else(|output| output);
        // Not of no test either, should this thread not be named after it.
        assert!(output.contains("test result: ok. 1 passed"), "as root of a namespace: {output}");
        None
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

/// The command in a namespace in which `from` is mounted at `to` too. The mount is gone with it.
pub fn with_bind(command: &Command, from: &str, to: &str) -> Command {
    let mut bound = Command::new("unshare");
    bound.args(NAMESPACE).args(["sh", "-c", "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"", "bind", from, to]);
    bound.arg(command.get_program()).args(command.get_args());
    bound.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).stdin(std::process::Stdio::null());
    if let Some(directory) = command.get_current_dir() {
        bound.current_dir(directory);
    }
    bound
}

/// Runs it to its end, well or not. What it has printed.
fn run(command: &mut Command) -> Result<String, String> {
    let outcome = command.output().map_err(|error| error.to_string())?;
    let printed = [outcome.stdout, outcome.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).trim().to_owned();
    if outcome.status.success() { Ok(printed) } else { Err(printed) }
}
