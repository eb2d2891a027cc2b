//! Clients of the pages that are slow or many cost the sink nothing.
#![cfg(target_os = "linux")]

use std::io::Write as _;
use std::net::TcpStream;

use cxsink::simulator::{Simulator, SimulatorOptions};

use crate::support;
use crate::support::process::cxsink_of;
use crate::support::watched::Watched;

/// The connections that the sink holds open at most (src/cli/run/http/server.rs), and room for those of the sink itself.
const DESCRIPTORS_MAX: f64 = 64.0 + 16.0;
const CLIENTS: usize = 1000;

#[test]
fn a_thousand_slow_clients_cost_neither_memory_nor_descriptors_nor_events() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = SimulatorOptions::default();
    options.events = None;
    options.rate = 200;
    let simulator = Simulator::start(options).unwrap();
    let destination = format!("sqlite:{}", directory.path().join("events.db").display());
    cxsink::init_db(&support::config(directory.path(), &destination)).unwrap();
    let mut command = cxsink_of(directory.path(), &simulator);
    command.env("CXSINK_DESTINATION__URL", &destination).env("CXSINK_SPOOL__PATH", directory.path().join("spool.db"));
    let sink = Watched::start(command.arg("run"), None);
    let metric = |name: &str| sink.metric(name).unwrap_or_default();
    let stored = || metric("cxsink_events_total{outcome=\"inserted\"}");
    support::wait_until("rows arrive", || stored() > 100.0);
    let (files, memory) = (metric("process_open_fds"), metric("process_resident_memory_bytes"));

    // Each sends the beginning of a request, and then a byte now and then.
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = TcpStream::connect(sink.address).unwrap();
        client.set_nodelay(true).unwrap();
        client.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").unwrap();
        clients.push(client);
        if clients.len() % 100 == 0 {
            // Those that the sink has closed are not to be written to.
            clients.retain_mut(|client| client.write_all(b"x").is_ok());
            assert!(metric("process_open_fds") < files + DESCRIPTORS_MAX, "of {CLIENTS} clients");
        }
    }
    let before = stored();
    support::wait_until("rows arrive beside them", || stored() > before + 200.0);
    let grown = metric("process_resident_memory_bytes") - memory;
    assert!(grown < 16e6, "{grown} bytes more");
    assert_eq!(sink.json("/healthz").0, 200);
}
