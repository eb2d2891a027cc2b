//! Servers that this project did not write (tests/foreign): the packages ws for Node.js and websockets for Python, each with a real
//! permessage-deflate, each as a process of its own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value as Json;

/// Which package serves.
#[derive(Debug, Clone, Copy)]
pub enum Package {
    Ws,
    Websockets,
}

/// Ended with its test.
pub struct ForeignServer {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub stream_port: u64,
    pub token_port: u64,
}

impl ForeignServer {
    /// Starts a stream of this profile with these events. `deflate` has the package's own options for compression; null: none.
    pub fn start(package: Package, profile: &str, events: &[Vec<u8>], deflate: &Json, directory: &Path) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let programs = super::paths_of(&mut Command::new(root.join("scripts/foreign-servers")));
        let (program, script) = match package {
            Package::Ws => (&programs[0], "tests/foreign/ws_server.mjs"),
            Package::Websockets => (&programs[1], "tests/foreign/websockets_server.py"),
        };
        let file = directory.join("events.jsonl");
        fs::write(&file, [events.join(b"\n".as_slice()), b"\n".to_vec()].concat()).unwrap();
        let options = serde_json::json!({ "profile": profile, "events": file, "deflate": deflate });
        let mut command = Command::new(program);
        command.arg(root.join(script)).arg(options.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let commands = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self { child, commands, answers, stream_port: 0, token_port: 0 };
        let ports = server.answer();
        server.stream_port = ports["port"].as_u64().unwrap();
        server.token_port = ports["token_port"].as_u64().unwrap();
        server
    }

    fn answer(&mut self) -> Json {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn command(&mut self, command: &str) -> Json {
        writeln!(self.commands, "{command}").unwrap();
        self.answer()
    }

    /// Has it send the first `count` events from now on.
    pub fn allow(&mut self, count: usize) {
        self.command(&format!("allow {count}"));
    }

    /// What it has done and seen, `errors` of its client among it.
    pub fn report(&mut self) -> Json {
        self.command("report")
    }
}

impl Drop for ForeignServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
