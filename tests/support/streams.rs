//! A configuration file of several streams, each with a simulator of its own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use cxsink::simulator::{Simulator, SimulatorOptions};

use super::process::cxsink;

/// Streams in a folder with their configuration file.
pub struct Streams {
    directory: tempfile::TempDir,
    pub simulators: Vec<(&'static str, Simulator)>,
}

impl Streams {
    /// A stream of each name.
    pub fn start(streams: impl IntoIterator<Item = (&'static str, SimulatorOptions)>) -> Self {
        let start = |(name, options)| (name, Simulator::start(options).unwrap());
        Self { directory: tempfile::tempdir().unwrap(), simulators: streams.into_iter().map(start).collect() }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn simulator(&self, name: &str) -> &Simulator {
        &self.simulators.iter().find(|(stream, _)| *stream == name).unwrap().1
    }

    /// Writes the file: `rest` for all, and below the sections of each stream what `own` says. The table of the stream `sales` is
    /// `sales_events`, unless `own` has another one.
    pub fn write(&self, rest: &str, own: impl Fn(&str) -> String) -> PathBuf {
        let mut text = format!("{rest}\n[retry]\ndelay_min = \"5ms\"\ndelay_max = \"50ms\"\n");
        for (name, simulator) in &self.simulators {
            let own = own(name);
            let table = if own.contains("destination.table") { String::new() } else { table(name) };
            write!(
                text,
                "\n[streams.{name}]\nid = \"{}\"\nurl = \"{}\"\noauth.url = \"{}\"\noauth.client_id = \"{}\"\n\
                 oauth.client_secret = \"{}\"\n{table}{own}\n",
                simulator.stream_id(),
                simulator.stream_url(),
                simulator.oauth_url(),
                simulator.client_id(),
                simulator.client_secret(),
            )
            .unwrap();
        }
        let path = self.path().join("cxsink.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The command in the folder of the file.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = cxsink(self.path());
        command.args(arguments);
        command
    }
}

fn table(name: &str) -> String {
    format!("destination.table = \"{}_events\"\n", name.replace('-', "_"))
}
