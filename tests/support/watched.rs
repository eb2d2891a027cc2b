//! The command `cxsink run` with `[http]`, and a client for it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::mpsc::{self, Receiver};

use serde_json::Value as Json;

use super::postgres::PATIENCE;
use super::process::Running;

/// Ended with its test.
pub struct Watched {
    pub process: Running,
    pub address: SocketAddr,
    lines: Receiver<String>,
    /// The log so far.
    log: Vec<String>,
    token: Option<String>,
}

impl Watched {
    /// Starts the command on a free port. With a token, every request sends it.
    pub fn start(command: &mut Command, token: Option<&str>) -> Self {
        let mut process = Running::start(command.env("CXSINK_HTTP__LISTEN", "127.0.0.1:0"));
        let stderr = BufReader::new(process.child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let address = ([127, 0, 0, 1], 0).into();
        let mut watched = Self { process, address, lines, log: Vec::new(), token: token.map(str::to_owned) };
        let line = watched.wait_for_line("metrics and health are at http://");
        watched.address = line.rsplit('/').next().unwrap().parse().unwrap();
        watched
    }

    /// Waits for a line of the log that contains this.
    pub fn wait_for_line(&mut self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no line says {text:?}: {:#?}", self.log));
            self.log.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The lines of the log, until the process ends.
    pub fn rest_of_log(&mut self) -> &[String] {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.log.push(line);
        }
        &self.log
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        let authorization =
            self.token.as_ref().map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
        get(self.address, path, &authorization)
    }

    pub fn json(&self, path: &str) -> (u16, Json) {
        let (status, body) = self.get(path);
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body:?}")))
    }

    /// The sum of a metric over its labels; `None` if it has no value.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (status, text) = self.get("/metrics");
        assert_eq!(status, 200, "{text}");
        sum(&text, name)
    }
}

/// The sum of the samples with this name or, with its label, this name and label.
pub fn sum(text: &str, name: &str) -> Option<f64> {
    let values: Vec<f64> = text
        .lines()
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(sample, _)| *sample == name || sample.strip_prefix(name).is_some_and(|rest| rest.starts_with('{')))
        .map(|(_, value)| value.parse().unwrap())
        .collect();
    (!values.is_empty()).then(|| values.iter().sum())
}

/// One request: the status and the body.
pub fn get(address: SocketAddr, path: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
