//! A simulator behind TLS, and a sink that reads from it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cxsink::config::OnNormalClose;
use cxsink::simulator::{Simulator, SimulatorOptions};
use cxsink::{Config, Error, Notice, Sink};

use super::authority::{Authority, Certified};
use super::tls_front::TlsFront;

/// A simulator behind TLS, and the files of a sink that trusts it.
pub struct Bench {
    pub simulator: Simulator,
    pub front: TlsFront,
    pub directory: tempfile::TempDir,
    pub config: Config,
}

impl Bench {
    pub fn new(options: SimulatorOptions, certified: &Certified, trusted: &Authority) -> Self {
        let simulator = Simulator::start(options).unwrap();
        let behind = SocketAddr::from(([127, 0, 0, 1], simulator.port()));
        let front = TlsFront::new(behind, certified);
        let directory = tempfile::tempdir().unwrap();
        let destination = format!("sqlite:{}", directory.path().join("table.db").display());
        let mut config = super::config(directory.path(), &destination);
        simulator.apply_to(&mut config);
        config.stream.on_normal_close = OnNormalClose::Stop;
        config.oauth.url = front.url(&simulator.oauth_url(), "localhost");
        config.stream.url = front.url(&simulator.stream_url(), "localhost");
        config.tls.ca_file = Some(file(directory.path(), "ca.pem", &trusted.pem));
        cxsink::init_db(&config).unwrap();
        Self { simulator, front, directory, config }
    }

    pub fn started(&self) -> Sink {
        let sink = Sink::open(&self.config).unwrap();
        sink.start().unwrap();
        sink
    }

    /// The first error that the running sink tells.
    pub fn error(&self) -> Error {
        let sink = self.started();
        let error = error_of(&sink);
        sink.close_within(Duration::MAX).unwrap();
        error
    }
}

pub fn file(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

pub fn error_of(sink: &Sink) -> Error {
    super::wait_for_notice(sink, "an error", |notice| match notice {
        Notice::Error(error) => Some(error),
        _ => None,
    })
}
