//! The command `cxsink` as a process, with an environment of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A command that sees nothing of the test's environment and works in this directory.
pub fn cxsink(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cxsink"));
    command.env_clear().current_dir(directory).stdin(Stdio::null());
    command
}

/// The same with the variables with which it reads from this simulator.
pub fn cxsink_of(directory: &Path, simulator: &cxsink::simulator::Simulator) -> Command {
    let mut command = cxsink(directory);
    of_simulator(&mut command, simulator);
    command
}

/// Has a command find its stream at this simulator, by its environment.
pub fn of_simulator<'a>(command: &'a mut Command, simulator: &cxsink::simulator::Simulator) -> &'a mut Command {
    command
        .env("CXONE_CLIENT_ID", simulator.client_id())
        .env("CXONE_CLIENT_SECRET", simulator.client_secret())
        .env("CXONE_STREAM_ID", simulator.stream_id())
        .env("CXSINK_OAUTH__URL", simulator.oauth_url())
        .env("CXSINK_STREAM__URL", simulator.stream_url())
}

/// Runs a test once more as a process of its own, as `prepare` wants it. For what belongs to a whole process: its logger, its panic hook,
/// its environment, its working directory.
///
/// False in the test's first run, when the second has passed; true in the second, which does the work.
pub fn in_own_process(prepare: impl FnOnce(&mut Command)) -> bool {
    const VARIABLE: &str = "CXSINK_TEST_IN_OWN_PROCESS";
    let thread = thread::current();
    let test = thread.name().unwrap();
    if std::env::var_os(VARIABLE).is_some_and(|own| own == test) {
        return true;
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args([test, "--exact", "--nocapture"]).stdin(Stdio::null());
    prepare(&mut again);
    let (code, out, err) = output(again.env(VARIABLE, test));
    // Not of no test either, should this thread not be named after it.
    assert!(code == 0 && out.contains("test result: ok. 1 passed"), "{test} in a process of its own: {out}{err}");
    false
}

/// No command of a test takes longer, not even one that installs a program.
const LIMIT: Duration = Duration::from_secs(200);

/// Runs the command to its end. One that does not end is ended, and the test with it.
pub fn output(command: &mut Command) -> (i32, String, String) {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (process, (sender, ended)) = (child.id(), mpsc::channel());
    thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(outcome) = ended.recv_timeout(LIMIT) else {
        super::server::signal(process, "KILL");
        panic!("it does not end: {command:?}");
    };
    let Output { status, stdout, stderr } = outcome.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// A process that is ended with its test.
pub struct Running {
    pub child: Child,
    stdout: Option<BufReader<ChildStdout>>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().map(BufReader::new);
        Self { child, stdout }
    }

    /// The next line that it prints.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.as_mut().unwrap().read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Stops reading what it prints.
    pub fn close_stdout(&mut self) {
        self.stdout = None;
    }

    /// Sends a signal by name: `TERM`, `INT`, `KILL`.
    pub fn signal(&self, name: &str) {
        // The shell's own `kill`: the program of that name is not on every machine.
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for its end: exit code (-1 if a signal ended it) and what it wrote to the standard error stream.
    pub fn wait(&mut self) -> (i32, String) {
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (self.child.wait().unwrap().code().unwrap_or(-1), stderr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
