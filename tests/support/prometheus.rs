//! A Prometheus of a test's own, which scrapes one address. `scripts/need` gets the programs if they are not there.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value as Json;

use super::{needed, wait_until};

/// Ended with its test.
pub struct Prometheus {
    folder: tempfile::TempDir,
    address: SocketAddr,
    process: Child,
}

impl Prometheus {
    /// Scrapes every half a second, with the token in this file if there is one. Evaluates these rules as often, unless they are empty.
    pub fn start_new(target: SocketAddr, token_file: Option<&Path>, rules: &str) -> Self {
        loop {
            let mut prometheus = Self::spawn(target, token_file, rules);
            if prometheus.is_up() {
                return prometheus;
            }
            let log = fs::read_to_string(prometheus.folder.path().join("log")).unwrap_or_default();
            assert!(log.contains("address already in use"), "Prometheus does not start: {log}");
        }
    }

    fn spawn(target: SocketAddr, token_file: Option<&Path>, rules: &str) -> Self {
        let program = needed("prometheus");
        let folder = tempfile::tempdir().unwrap();
        let rules = if rules.is_empty() { "groups: []" } else { rules };
        fs::write(folder.path().join("rules.yml"), rules).unwrap();
        let token = token_file
            .map_or_else(String::new, |file| format!("  authorization:\n    credentials_file: {}\n", file.display()));
        let settings = format!(
            "global:\n  scrape_interval: 500ms\n  scrape_timeout: 500ms\n  evaluation_interval: 500ms\nrule_files: [rules.yml]\n\
             scrape_configs:\n- job_name: cxsink\n{token}  static_configs:\n  - targets: ['{target}']\n"
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
            is_up = !has_ended && TcpStream::connect(self.address).is_ok() && self.get("/-/ready").is_some();
            is_up || has_ended
        });
        is_up
    }

    /// A page; `None` if the answer is an error.
    fn get(&self, path: &str) -> Option<String> {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().proxy(None).timeout_global(Some(Duration::from_secs(30))).build().into();
        agent.get(format!("http://{}{path}", self.address)).call().ok()?.body_mut().read_to_string().ok()
    }

    /// The data of an answer of its API.
    fn api(&self, path: &str) -> Json {
        let answer = self.get(&format!("/api/v1/{path}")).unwrap_or_else(|| panic!("Prometheus refuses {path}"));
        serde_json::from_str::<Json>(&answer).unwrap()["data"].take()
    }

    /// The series of an expression at this moment: labels and value.
    pub fn series(&self, expression: &str) -> Vec<(Json, f64)> {
        let answer = self.api(&format!("query?query={}", encoded(expression)));
        let series = answer["result"].as_array().unwrap_or_else(|| panic!("{expression}: {answer}"));
        series.iter().map(|one| (one["metric"].clone(), number(&one["value"][1]))).collect()
    }

    /// Every value of every series of an expression, a second apart, in the last so many seconds.
    pub fn values(&self, expression: &str, seconds: f64) -> Vec<f64> {
        // The last step is at most a second before the end, which must not be before the last sample.
        let end = number(&self.api("query?query=time()")["result"][1]) + 1.0;
        let query = encoded(expression);
        let answer = self.api(&format!("query_range?query={query}&start={}&end={end}&step=1", end - seconds));
        let series = answer["result"].as_array().unwrap_or_else(|| panic!("{expression}: {answer}"));
        series.iter().flat_map(|one| one["values"].as_array().unwrap()).map(|value| number(&value[1])).collect()
    }

    /// The value of an expression without labels; `None` while it has none.
    pub fn query(&self, expression: &str) -> Option<f64> {
        self.series(expression).first().map(|(_, value)| *value)
    }

    pub fn wait_for(&self, expression: &str, expected: f64) {
        let mut found = None;
        wait_until(expression, || {
            found = self.query(expression);
            found == Some(expected)
        });
    }

    /// The alerts that fire, each with its annotations.
    pub fn firing(&self) -> Vec<Json> {
        let mut answer = self.api("alerts");
        let Json::Array(alerts) = answer["alerts"].take() else { panic!("{answer}") };
        alerts.into_iter().filter(|alert| alert["state"] == "firing").collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Prometheus writes a sample as a text: JSON has no NaN.
fn number(value: &Json) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

/// Runs promtool: whether it is satisfied, and everything that it says.
pub fn promtool(arguments: &[&str], input: &str) -> (bool, String) {
    let mut promtool = Command::new(needed("promtool"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that does not read its input may have ended.
    let _ = promtool.stdin.take().unwrap().write_all(input.as_bytes());
    let checked = promtool.wait_with_output().unwrap();
    (checked.status.success(), String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned())
}

/// Everything that promtool says about a text of metrics; empty if it is clean.
pub fn lint(text: &str) -> String {
    let (is_clean, said) = promtool(&["check", "metrics"], text);
    if is_clean { said } else { format!("not clean: {said}") }
}
