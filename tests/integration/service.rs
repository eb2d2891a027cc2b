//! The manners of a service: what systemd is told, SIGHUP, and the life of a first process.
#![cfg(target_os = "linux")]

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cxsink::simulator::{Simulator, SimulatorOptions};

use crate::support;
use crate::support::frozen::Frozen;
use crate::support::postgres::PATIENCE;
use crate::support::process::{Running, cxsink_of};
use crate::support::server::is_root;
use crate::support::watched::Watched;

fn simulator() -> Simulator {
    let mut options = SimulatorOptions::default();
    options.events = None;
    options.rate = 50;
    Simulator::start(options).unwrap()
}

fn program(directory: &Path, simulator: &Simulator) -> Command {
    let destination = format!("sqlite:{}", directory.join("events.db").display());
    cxsink::init_db(&support::config(directory, &destination)).unwrap();
    let mut command = cxsink_of(directory, simulator);
    command
        .env("CXSINK_DESTINATION__URL", destination)
        .env("CXSINK_SPOOL__PATH", directory.join("spool.db"))
        .arg("run");
    command
}

/// The service manager's end of the socket.
struct Manager(UnixDatagram);

impl Manager {
    /// The next message for which this is true.
    fn wait_for(&self, what: &str, mut is_it: impl FnMut(&str) -> bool) -> String {
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        loop {
            let message = self.receive().unwrap_or_else(|| panic!("{what}: not told"));
            if is_it(&message) {
                return message;
            }
        }
    }

    fn receive(&self) -> Option<String> {
        let mut bytes = [0; 4096];
        let length = self.0.recv(&mut bytes).ok()?;
        Some(String::from_utf8(bytes[..length].to_vec()).unwrap())
    }
}

#[test]
fn the_service_manager_hears_of_start_state_life_and_stop() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("notify");
    let manager = Manager(UnixDatagram::bind(&socket).unwrap());
    let simulator = simulator();
    let mut command = program(directory.path(), &simulator);
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "3000000").env("CXSINK_HTTP__HANGING_AFTER", "5s");
    let mut sink = Running::start(&mut command);
    assert_eq!(manager.wait_for("the start", |_| true), "READY=1");
    let status = manager.wait_for("a status", |message| message.starts_with("STATUS=running: "));
    assert!(status.contains(" stored, ") && status.contains(" pending, "), "{status}");
    manager.wait_for("life", |message| message == "WATCHDOG=1");

    let frozen = Frozen::new(sink.child.id(), "cxsink-preparer");
    // Longer than the time between two signs of life.
    manager.0.set_read_timeout(Some(Duration::from_millis(2500))).unwrap();
    let until = Instant::now() + PATIENCE;
    // Silence is as good: the thread may have stopped with a lock, for which those who tell wait.
    while let Some(message) = manager.receive() {
        assert!(Instant::now() < until, "it lives on: {message}");
        if message.contains("the loop cxsink-preparer has not moved") {
            break;
        }
    }
    for _ in 0..4 {
        assert_ne!(manager.receive().as_deref(), Some("WATCHDOG=1"), "while a loop hangs");
    }
    drop(frozen);
    manager.wait_for("life again", |message| message == "WATCHDOG=1");

    sink.signal("TERM");
    manager.wait_for("the stop", |message| message == "STOPPING=1");
    assert_eq!(sink.wait().0, 0);
}

#[test]
fn an_abstract_socket_is_told_too() {
    let directory = tempfile::tempdir().unwrap();
    let name = format!("cxsink-test-{}", directory.path().display());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = Manager(UnixDatagram::bind_addr(&address).unwrap());
    let simulator = simulator();
    let _sink = Running::start(program(directory.path(), &simulator).env("NOTIFY_SOCKET", format!("@{name}")));
    assert_eq!(manager.wait_for("the start", |_| true), "READY=1");
}

#[test]
fn sighup_changes_log_and_schema_and_says_what_needs_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (config, schema) = (directory.path().join("cxsink.toml"), directory.path().join("schema.json"));
    let write = |level: &str, events_max: u32, schema_text: &str| {
        std::fs::write(&schema, schema_text).unwrap();
        let text = format!(
            "[schema]\nfile = \"{}\"\n[log]\nlevel = \"{level}\"\n[batch]\nevents_max = {events_max}\n",
            schema.display()
        );
        std::fs::write(&config, text).unwrap();
    };
    write("info", 100, "{\"type\": \"object\"}");
    let simulator = simulator();
    let mut command = program(directory.path(), &simulator);
    let mut sink = Watched::start(command.arg("--config").arg(&config), None);
    support::wait_until("rows arrive", || sink.metric("cxsink_events_total{outcome=\"inserted\"}") > Some(10.0));
    assert_eq!(sink.metric("cxsink_dead_letters_total"), Some(0.0));

    write("debug", 200, "{\"type\": \"object\", \"required\": [\"noSuchMember\"]}");
    sink.process.signal("HUP");
    let changed = sink.wait_for_line("changed now: ");
    assert!(changed.ends_with("changed now: log.level"), "{changed}");
    let later = sink.wait_for_line("restart the sink to change");
    assert!(later.ends_with("to change batch.events_max"), "{later}");
    sink.wait_for_line("DEBUG");
    let dead = "cxsink_dead_letters_total{stage=\"schema\"}";
    support::wait_until("the new schema rejects", || sink.metric(dead) > Some(10.0));

    std::fs::write(&schema, "{").unwrap();
    sink.process.signal("HUP");
    let refused = sink.wait_for_line("nothing has changed");
    assert!(refused.contains("schema.json"), "{refused}");
    write("info", 200, "{\"type\": \"object\"}");
    sink.process.signal("HUP");
    let stored = "cxsink_events_total{outcome=\"inserted\"}";
    let before = sink.metric(stored);
    support::wait_until("rows arrive again", || sink.metric(stored) > before);
}

/// Certificates: `renewed_files_take_effect_at_the_next_connection`.
#[test]
fn a_secret_in_a_file_is_read_again_for_the_next_token() {
    let directory = tempfile::tempdir().unwrap();
    let simulator_with = |secret: &str, port: u16| {
        let mut options = SimulatorOptions::default();
        options.client_secret = secret.into();
        options.port = port;
        Simulator::start(options).unwrap()
    };
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "the first secret").unwrap();
    let first = simulator_with("the first secret", 0);
    let mut command = program(directory.path(), &first);
    command.env_remove("CXONE_CLIENT_SECRET").env("CXSINK_OAUTH__CLIENT_SECRET_FILE", &secret);
    command.env("CXSINK_RETRY__DELAY_MIN", "5ms").env("CXSINK_RETRY__DELAY_MAX", "20ms");
    let sink = Watched::start(&mut command, None);
    let is_connected = || sink.metric("cxsink_connected{side=\"stream\"}") == Some(1.0);
    support::wait_until("the first secret is right", is_connected);

    let port = first.port();
    drop(first);
    support::wait_until("the stream has gone", || !is_connected());
    std::fs::write(&secret, "another secret").unwrap();
    let _second = simulator_with("another secret", port);
    support::wait_until("the other secret is right", is_connected);
}

#[test]
fn lines_of_errors_that_repeat_are_held_back_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let simulator = simulator();
    let mut command = program(directory.path(), &simulator);
    // Nobody listens there, and each try is an error.
    command.env("CXSINK_DESTINATION__URL", "postgresql://127.0.0.1:1/cx");
    command.env("CXSINK_RETRY__DELAY_MIN", "5ms").env("CXSINK_RETRY__DELAY_MAX", "20ms");
    let mut sink = Watched::start(&mut command, None);
    let mut errors = 0.0;
    support::wait_until("many errors", || {
        errors = sink.metric("cxsink_errors_total").unwrap();
        errors > 200.0
    });
    sink.process.signal("TERM");
    let log = sink.rest_of_log();
    let repeated = log.iter().filter(|line| line.contains("127.0.0.1:1") && line.contains(" WARN "));
    let shown = repeated.count();
    // Five a minute; the machine may have been slow.
    assert!((5..=50).contains(&shown), "{shown} lines: {log:#?}");
    let counts = |text: &str| -> f64 {
        let lines =
            log.iter().filter_map(|line| line.split_once(text)?.0.rsplit([' ', ';']).next()?.parse::<f64>().ok());
        lines.sum()
    };
    let held = counts(" lines like this were held back") + counts(" more lines of errors were held back");
    assert!(
        held + f64::from(u32::try_from(shown).unwrap()) >= errors,
        "{held} held back and {shown} shown of {errors} errors: {log:#?}"
    );
}

/// A process that is the first one of its namespace: PID 1.
#[test]
fn as_the_first_process_it_reaps_orphans_and_obeys_signals() {
    let directory = tempfile::tempdir().unwrap();
    let simulator = simulator();
    let program = program(directory.path(), &simulator);
    let mut command = Command::new("unshare");
    if !is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command
        .args(["--pid", "--fork", "--kill-child", "sh", "-c", "(sleep 0.3 &); exec \"$0\" run"])
        .arg(program.get_program());
    command.current_dir(directory.path()).env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let mut sink = Watched::start(&mut command, None);
    let first = children(sink.process.child.id())[0];
    support::wait_until("the orphan is reaped", || children(first).is_empty());
    support::wait_until("it runs", || sink.json("/readyz").0 == 200);
    support::server::signal(first, "TERM");
    assert_eq!(sink.process.child.wait().unwrap().code(), Some(0), "{:?}", sink.rest_of_log());
}

fn children(process: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of_task = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
    let all: String = tasks.filter_map(Result::ok).map(of_task).collect();
    all.split_ascii_whitespace().map(|child| child.parse().unwrap()).collect()
}
