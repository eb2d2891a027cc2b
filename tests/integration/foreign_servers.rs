//! Streams of servers that this project did not write, read by the program: the table is what was sent, though the program is killed again
//! and again. The protocol, the compression and the order of the conversation are judged by their side, too.
#![cfg(unix)]

use std::fs;
use std::path::Path;

use cxsink::simulator::Simulator;
use serde_json::{Value as Json, json};

use crate::support;
use crate::support::foreign::{ForeignServer, Package};
use crate::support::oracle;
use crate::support::postgres::TestDatabase;
use crate::support::process::{Running, cxsink};

const EVENTS: usize = 4000;
const KILLS: usize = 3;

/// The profile's `[stream]`, with the port in place of `PORT`, and `[event]`.
struct Profile {
    name: &'static str,
    package: Package,
    settings: &'static str,
    /// The package's options for compression.
    deflate: Json,
    /// A counter of the server and the value that it reaches at least.
    reaches: (&'static str, usize),
}

/// Valid events, in which keys come again.
fn some_events() -> Vec<Vec<u8>> {
    let mut options = support::stream_with_repeats(15, EVENTS as u64, 0);
    options.invalid_percent = 0.0;
    Simulator::start(options).unwrap().events().collect()
}

fn write_config(directory: &Path, profile: &Profile, server: &ForeignServer, database: &TestDatabase) {
    let compression = !profile.deflate.is_null();
    let settings = profile.settings.replace("PORT", &server.stream_port.to_string());
    let text = format!(
        "[oauth]\nurl = \"http://127.0.0.1:{}/token\"\nclient_id = \"client\"\nclient_secret = \"hunter2\"\n\
         [destination]\nurl = \"{}\"\n[batch]\nevents_max = 40\n[retry]\ndelay_min = \"5ms\"\ndelay_max = \"20ms\"\n\
         [stream]\ncompression = {compression}\n{settings}",
        server.token_port,
        database.url(),
    );
    fs::write(directory.join("cxsink.toml"), text).unwrap();
}

fn rows(database: &TestDatabase) -> usize {
    database.query("SELECT count(*) FROM cxone_events")[0].parse().unwrap()
}

/// Runs the program on the stream, kills it in the middle, and compares the table with the events one by one.
fn read_with_kills(profile: &Profile) {
    let database = TestDatabase::new();
    let directory = tempfile::tempdir().unwrap();
    let events = some_events();
    let mut server = ForeignServer::start(profile.package, profile.name, &events, &profile.deflate, directory.path());
    write_config(directory.path(), profile, &server, &database);
    let (code, _, err) = support::process::output(cxsink(directory.path()).arg("init-db"));
    assert_eq!(code, 0, "{err}");

    let run = || Running::start(cxsink(directory.path()).arg("run"));
    let mut sink = run();
    for kill in 1..=KILLS {
        // While events are sent: the program has some of these, and rarely all of them.
        let before = rows(&database);
        server.allow(kill * EVENTS / (KILLS + 1));
        support::wait_until("it writes", || rows(&database) > before);
        assert_eq!(sink.child.try_wait().unwrap(), None, "it ended by itself: {}", sink.wait().1);
        sink.signal("KILL");
        sink.child.wait().unwrap();
        sink = run();
    }
    server.allow(EVENTS);

    database.execute(&oracle::tutorial_table("expected"));
    let executed = oracle::execute(&mut database.client(), "expected", "always", events.iter().map(Vec::as_slice));
    assert_eq!(executed, EVENTS as u64);
    let mut client = database.client();
    let mut left = Vec::new();
    let is_equal = || {
        left = oracle::differences(&mut client, "cxone_events", "expected");
        left.is_empty()
    };
    let equal =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| support::wait_until("equal tables", is_equal)));
    assert!(equal.is_ok(), "{} differences, such as {:?}; {}", left.len(), left.first(), server.report());

    let (counter, value) = profile.reaches;
    support::wait_until(counter, || server.report()[counter].as_u64() >= Some(value as u64));
    sink.signal("TERM");
    let (code, err) = sink.wait();
    assert_eq!(code, 0, "{err}");
    let report = server.report();
    assert_eq!(report["errors"], json!([]), "{report}");
    // Not one for each process: one may be killed while it still writes what the one before it had spooled.
    assert!(report["connections"].as_u64().unwrap() > 1, "{report}");
    // A token in the query opens one connection; elsewhere none is refused.
    assert!(report["refused"] == 0 || profile.name == "ringcentral", "{report}");
}

const EVENT_HUB: &str = r#"
url = "ws://127.0.0.1:PORT/events"
token_in = "message"
open = ['{"action":"register","payload":{"token":"{token}"}}']
open_answer = '"authorized"'
heartbeat = '{"action":"heartbeat"}'
heartbeat_interval = "20ms"
heartbeat_answer = '"pong"'
"#;

#[test]
fn the_event_hub_of_ws_with_compression_is_read() {
    let (package, settings) = (Package::Ws, EVENT_HUB);
    read_with_kills(&Profile { name: "event-hub", package, settings, deflate: json!({}), reaches: ("heartbeats", 1) });
}

#[test]
fn ringcentral_of_ws_is_read_with_a_token_for_each_connection() {
    let settings = r#"
url = "ws://127.0.0.1:PORT/ws"
token_in = "query:access_token"
ignore = [{ pointer = "/0/type", equals = ["ConnectionDetails", "Heartbeat"] }]
heartbeat = '[{"type":"Heartbeat","messageId":"h"}]'
heartbeat_interval = "20ms"
heartbeat_answer = { pointer = "/0/type", equals = "Heartbeat" }
[event]
path = "/1"
"#;
    // Each message with a context of its own.
    let deflate = json!({ "serverNoContextTakeover": true, "threshold": 100, "serverMaxWindowBits": 10 });
    let (package, reaches) = (Package::Ws, ("heartbeats", 1));
    read_with_kills(&Profile { name: "ringcentral", package, settings, deflate, reaches });
}

const AGENT_ASSIST: &str = r#"
url = "ws://127.0.0.1:PORT/assist"
token_in = "message"
open = [
    '{"command":"CONNECT","headers":{"token":"{token}"}}',
    '{"command":"SUBSCRIBE","headers":{"token":"{token}","topic":"interactions"}}',
]
open_answer = { pointer = "/command", equals = "SUBSCRIBED" }
heartbeat = '{"command":"HEARTBEAT","headers":{"token":"{token}"}}'
heartbeat_interval = "20ms"
heartbeat_answer = { pointer = "/command", equals = "HEARTBEAT_ACK" }
ignore = [{ pointer = "/command", equals = ["CONNECTED", "SUBSCRIBED", "HEARTBEAT_ACK"] }]
[event]
path = "/body/data"
"#;

#[test]
fn agent_assist_of_websockets_is_read_with_and_without_compression() {
    for deflate in [Json::Null, json!({}), json!({ "server_no_context_takeover": true, "server_max_window_bits": 9 })] {
        let (package, settings, reaches) = (Package::Websockets, AGENT_ASSIST, ("heartbeats", 1));
        read_with_kills(&Profile { name: "agent-assist", package, settings, deflate, reaches });
    }
}

#[test]
fn what_was_acknowledged_to_websockets_is_in_the_table() {
    let settings = r#"
url = "ws://127.0.0.1:PORT/notifications"
token_in = "message"
open = ['{"authorization":"{token}"}']
open_answer = { pointer = "/status", equals = "connected" }
ack = '{"ack":{/eventId}}'
[event]
path = "/notification"
"#;
    // It sends no event again that was acknowledged: each of them must have been in the spool by then.
    let (package, reaches) = (Package::Websockets, ("acks", EVENTS));
    read_with_kills(&Profile { name: "8x8", package, settings, deflate: json!({}), reaches });
}
