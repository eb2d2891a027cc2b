//! A Prometheus of a test's own, which scrapes one address. `scripts/need` gets the programs if they are not there.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value as Json;

use super::watched::get;
use super::{needed, wait_until};

/// Ended with its test.
pub struct Prometheus {
    folder: tempfile::TempDir,
    address: SocketAddr,
    process: Child,
}

impl Prometheus {
    /// Scrapes every half a second, with the token in this file.
    pub fn start_new(target: SocketAddr, token_file: &Path) -> Self {
        loop {
            let mut prometheus = Self::spawn(target, token_file);
            if prometheus.is_up() {
                return prometheus;
            }
            let log = fs::read_to_string(prometheus.folder.path().join("log")).unwrap_or_default();
            assert!(log.contains("address already in use"), "Prometheus does not start: {log}");
        }
    }

    fn spawn(target: SocketAddr, token_file: &Path) -> Self {
        let program = needed("prometheus");
        let folder = tempfile::tempdir().unwrap();
        let settings = format!(
            "global:\n  scrape_interval: 500ms\n  scrape_timeout: 500ms\nscrape_configs:\n- job_name: cxsink\n  authorization:\n    \
             credentials_file: {}\n  static_configs:\n  - targets: ['{target}']\n",
            token_file.display()
        );
        fs::write(folder.path().join("prometheus.yml"), settings).unwrap();
        // Free now, perhaps not any more when it is bound: then another one is tried.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new(&program)
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address={address}"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        Self { folder, address, process }
    }

    fn is_up(&mut self) -> bool {
        let mut is_up = false;
        wait_until("Prometheus answers", || {
            let has_ended = self.process.try_wait().unwrap().is_some();
            is_up = !has_ended
                && std::net::TcpStream::connect(self.address).is_ok()
                && get(self.address, "/-/ready", "").0 == 200;
            is_up || has_ended
        });
        is_up
    }

    /// The value of an expression without labels; `None` while it has none.
    pub fn query(&self, expression: &str) -> Option<f64> {
        let mut encoded = String::new();
        for byte in expression.bytes() {
            let _ = write!(encoded, "%{byte:02x}");
        }
        let (status, body) = get(self.address, &format!("/api/v1/query?query={encoded}"), "");
        assert_eq!(status, 200, "{body}");
        let body = body.find('{').map_or(&*body, |at| &body[at..]);
        let answer: Json = serde_json::Deserializer::from_str(body).into_iter().next()?.ok()?;
        answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }

    pub fn wait_for(&self, expression: &str, expected: f64) {
        let mut found = None;
        wait_until(expression, || {
            found = self.query(expression);
            found == Some(expected)
        });
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Everything that promtool says about a text of metrics; empty if it is clean.
pub fn lint(text: &str) -> String {
    let mut promtool = Command::new(needed("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let checked = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
    if checked.status.success() { said } else { format!("{}: {said}", checked.status) }
}
