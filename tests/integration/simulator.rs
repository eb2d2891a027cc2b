//! The simulator behaves as its options say, tested through real sockets.

use std::collections::{HashMap, HashSet};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime};

use cxsink::simulator::{InvalidKind, Simulator, SimulatorOptions, SimulatorReport, generate};
use serde_json::Value;
use tungstenite::handshake::HandshakeError;
use tungstenite::http::Response;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

/// Long enough for a loaded machine; nothing waits this long unless it fails.
const DEADLINE: Duration = Duration::from_secs(20);

fn options(settings: &[(&str, &str)]) -> SimulatorOptions {
    let mut options = SimulatorOptions::default();
    for (name, value) in settings {
        options.set(name, value).unwrap();
    }
    options
}

fn start(settings: &[(&str, &str)]) -> Simulator {
    Simulator::start(options(settings)).unwrap()
}

fn expected(simulator: &Simulator) -> Vec<Vec<u8>> {
    simulator.events().collect()
}

/// Waits until the simulator's report fulfils a condition.
fn wait_for(simulator: &Simulator, condition: impl Fn(&SimulatorReport) -> bool) -> SimulatorReport {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let report = simulator.report();
        if condition(&report) {
            return report;
        }
        assert!(Instant::now() < deadline, "{report}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

// ------------------------------------------------------------------------------------------------- token endpoint

fn form(simulator: &Simulator) -> Vec<(&'static str, String)> {
    vec![
        ("grant_type", "client_credentials".into()),
        ("client_id", simulator.client_id().into()),
        ("client_secret", simulator.client_secret().into()),
        ("scope", "data-actions:read".into()),
    ]
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).proxy(None).timeout_global(Some(DEADLINE)).build().into()
}

fn request_token(simulator: &Simulator, form: Vec<(&str, String)>) -> (u16, Option<String>, String) {
    let mut response = agent().post(simulator.oauth_url()).send_form(form).unwrap();
    let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), retry_after, response.body_mut().read_to_string().unwrap())
}

fn token(simulator: &Simulator) -> String {
    let (status, _, body) = request_token(simulator, form(simulator));
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

// --------------------------------------------------------------------------------------------------------- stream

type Stream = WebSocket<TcpStream>;

fn tcp(simulator: &Simulator) -> TcpStream {
    let socket = TcpStream::connect(("127.0.0.1", simulator.port())).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.set_write_timeout(Some(DEADLINE)).unwrap();
    socket
}

fn open_with(simulator: &Simulator, token: &str) -> Result<Stream, Box<Response<Option<Vec<u8>>>>> {
    open_over(tcp(simulator), simulator, token)
}

fn open_over(socket: TcpStream, simulator: &Simulator, token: &str) -> Result<Stream, Box<Response<Option<Vec<u8>>>>> {
    use tungstenite::client::IntoClientRequest;
    let mut request = simulator.stream_url().into_client_request().unwrap();
    request.headers_mut().insert("Authorization", format!("Bearer {token}").parse().unwrap());
    request.headers_mut().insert("Accept", "application/json".parse().unwrap());
    match tungstenite::client(request, socket) {
        Ok((stream, _)) => Ok(stream),
        Err(HandshakeError::Failure(tungstenite::Error::Http(response))) => Err(response),
        Err(error) => panic!("{error}"),
    }
}

fn open(simulator: &Simulator) -> Stream {
    open_with(simulator, &token(simulator)).unwrap()
}

/// A stream with a small receive buffer of fixed size: the rest waits in the sender's buffer. A segment of the loopback
/// interface must fit, or reading takes minutes.
fn open_narrow(simulator: &Simulator) -> Stream {
    let socket = tcp(simulator);
    socket2::SockRef::from(&socket).set_recv_buffer_size(128 * 1024).unwrap();
    open_over(socket, simulator, &token(simulator)).unwrap()
}

/// How a stream ended.
#[derive(Debug, PartialEq)]
enum End {
    /// With this code; 1005 for none.
    Closed(u16, String),
    Reset,
    /// The end of the TCP stream, without a close frame.
    Cut,
    /// Nothing came until the socket's timeout.
    Nothing,
}

/// Reads the next event, or the end, and replies to pings.
fn next(stream: &mut Stream) -> Result<Vec<u8>, End> {
    use tungstenite::error::ProtocolError;
    let mut close = None;
    loop {
        match stream.read() {
            Ok(Message::Text(text)) => return Ok(text.as_bytes().to_vec()),
            Ok(Message::Binary(bytes)) => return Ok(bytes.to_vec()),
            Ok(Message::Ping(_)) => stream.flush().unwrap(),
            Ok(Message::Close(frame)) => {
                let (code, reason) = frame.map_or((1005, String::new()), |f| (f.code.into(), f.reason.to_string()));
                close = Some(End::Closed(code, reason));
            }
            Ok(_) => {}
            Err(tungstenite::Error::ConnectionClosed) => return Err(close.unwrap()),
            Err(tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => return Err(End::Cut),
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::ConnectionReset => return Err(End::Reset),
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Err(End::Nothing),
            Err(error) => panic!("{error}"),
        }
    }
}

fn read(stream: &mut Stream, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|_| next(stream).unwrap()).collect()
}

fn read_to_end(stream: &mut Stream) -> (Vec<Vec<u8>>, End) {
    let mut events = Vec::new();
    loop {
        match next(stream) {
            Ok(event) => events.push(event),
            Err(end) => return (events, end),
        }
    }
}

/// Reads everything that has arrived, without waiting for more.
fn read_arrived(stream: &mut Stream) -> (Vec<Vec<u8>>, End) {
    stream.get_ref().set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let found = read_to_end(stream);
    stream.get_ref().set_read_timeout(Some(DEADLINE)).unwrap();
    found
}

fn text(event: &[u8]) -> String {
    String::from_utf8_lossy(event).into_owned()
}

// --------------------------------------------------------------------------------------------------------- events

const MIXED: [(&str, &str); 5] = [
    ("events", "3000"),
    ("seed", "42"),
    ("redelivery_percent", "20"),
    ("update_percent", "10"),
    ("invalid_percent", "10"),
];

/// The schema of the stream's events, as CXone documents it.
fn schema() -> jsonschema::Validator {
    let text = serde_json::json!({"type": "string"});
    let nullable = serde_json::json!({"type": ["string", "null"]});
    let schema = serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["interactionId", "timestamp", "type", "idempotencyKey"],
        "additionalProperties": false,
        "properties": {
            "interactionId": {"type": "string", "minLength": 1},
            "timestamp": {"type": "string", "format": "date-time"},
            "type": {"enum": ["call", "chat", "email", "callback"], "type": text["type"]},
            "idempotencyKey": {"type": "string", "pattern": "^[a-zA-Z0-9_-]+$"},
            "attributes": {"type": "object", "properties": {
                "duration": {"type": ["number", "null"]},
                "disposition": nullable, "queueName": nullable, "agentId": nullable,
            }},
        },
    });
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

/// The rule that rejects an event: a keyword of the schema, `json` or `size`.
fn rejected_by(schema: &jsonschema::Validator, event: &[u8]) -> Option<String> {
    if event.len() > 1 << 20 {
        return Some("size".into());
    }
    let Ok(value) = serde_json::from_slice::<Value>(event) else {
        return Some("json".into());
    };
    let keywords: Vec<String> = schema.iter_errors(&value).map(|error| error.kind().keyword().to_owned()).collect();
    assert!(keywords.len() <= 1, "one fault at a time: {keywords:?}");
    keywords.into_iter().next()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let with_seed = |seed: &str| generate(&options(&[&MIXED[..], &[("seed", seed)]].concat())).collect::<Vec<_>>();
    assert_eq!(with_seed("7"), with_seed("7"));
    let differing = with_seed("7").iter().zip(with_seed("8")).filter(|(a, b)| *a != b).count();
    assert_eq!(differing, 3000);
}

#[test]
fn a_seeds_events_stay_the_same_from_release_to_release() {
    let settings = [("update_percent", "50"), ("invalid_percent", "10"), ("events", "200")];
    let events: Vec<String> = generate(&options(&settings)).map(|event| text(&event)).collect();
    let first = concat!(
        r#"{"interactionId":"ca3b28ee-d1d2-47e4-a254-9c505323764e","timestamp":"2026-01-01T00:00:00.000Z","type":"email","#,
        r#""idempotencyKey":"7c4dd963-dbc9-47f8-b214-ff4b1a6ae925","attributes":{"duration":2066,"#,
        r#""disposition":"abandoned","queueName":"support-tier-2","agentId":"agent-12282"}}"#
    );
    assert_eq!(events[0], first);
    // FNV-1a, 64 bits
    let hash = events
        .concat()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    assert_eq!(hash, 1_478_278_658_286_750_025);
}

#[test]
fn every_framing_delivers_the_generated_events() {
    for framing in [("binary", "false"), ("binary", "true"), ("frames_per_write", "1"), ("frames_per_write", "7")] {
        let simulator = start(&[&MIXED[..], &[framing, ("close_at_end", "true")]].concat());
        let (events, end) = read_to_end(&mut open(&simulator));
        assert_eq!(events, expected(&simulator), "{framing:?}");
        assert_eq!(end, End::Closed(1000, "end of stream".into()));
    }
}

#[test]
fn messages_are_text_or_binary_as_set() {
    for (binary, expected) in [("false", true), ("true", false)] {
        let simulator = start(&[("binary", binary)]);
        assert_eq!(open(&simulator).read().unwrap().is_text(), expected);
    }
}

#[test]
fn faults_change_no_byte_and_no_order() {
    let faults: [&[(&str, &str)]; 3] = [
        &[("close_after", "100"), ("close_connections", "all")],
        &[("cut_after", "170"), ("cut_how", "end"), ("cut_connections", "all")],
        &[("cut_after", "70"), ("cut_how", "end"), ("close_after", "50"), ("frames_per_write", "3")],
    ];
    for fault in faults {
        let simulator = start(&[&MIXED[..], fault, &[("close_at_end", "true")]].concat());
        let mut events = Vec::new();
        while events.len() < 3000 {
            events.extend(read_to_end(&mut open(&simulator)).0);
        }
        assert!(events == expected(&simulator), "{fault:?}");
    }
}

#[test]
fn valid_events_look_like_those_of_a_contact_centre() {
    let schema = schema();
    let simulator = start(&[("events", "5000"), ("update_percent", "20")]);
    let events = expected(&simulator);
    let mut kinds_of_duration = HashSet::new();
    let (mut bare, mut extra) = (0, 0);
    for event in &events {
        assert_eq!(rejected_by(&schema, event), None, "{}", text(event));
        let value: Value = serde_json::from_slice(event).unwrap();
        match value.get("attributes").and_then(Value::as_object) {
            None => bare += 1,
            Some(attributes) => {
                let named = ["duration", "disposition", "queueName", "agentId"];
                extra += usize::from(attributes.keys().any(|name| !named.contains(&name.as_str())));
                kinds_of_duration.insert(match attributes.get("duration") {
                    None => "absent",
                    Some(Value::Null) => "null",
                    Some(_) => "number",
                });
            }
        }
    }
    assert_eq!(kinds_of_duration.len(), 3);
    assert!(bare > 20 && extra > 200, "{bare} {extra}");
    let mean = events.iter().map(Vec::len).sum::<usize>() / events.len();
    assert!((250..350).contains(&mean), "{mean}");
}

#[test]
fn each_kind_of_invalid_event_is_rejected_by_its_rule() {
    let schema = schema();
    for (kind, rule) in [
        (InvalidKind::NotJson, "json"),
        (InvalidKind::MissingField, "required"),
        (InvalidKind::UnknownKey, "additionalProperties"),
        (InvalidKind::BadEnum, "enum"),
        (InvalidKind::BadDate, "format"),
        (InvalidKind::BadKeyPattern, "pattern"),
        (InvalidKind::Oversize, "size"),
    ] {
        let count = if kind == InvalidKind::Oversize { 5 } else { 500 };
        let settings = [("events", &*count.to_string()), ("invalid_percent", "100"), ("invalid_kinds", kind.name())];
        for event in generate(&options(&settings)) {
            assert_eq!(rejected_by(&schema, &event).as_deref(), Some(rule), "{}", text(&event[..event.len().min(500)]));
            assert!(std::str::from_utf8(&event).is_ok(), "a text message must be UTF-8");
        }
    }
}

#[test]
fn an_oversize_event_is_valid_except_for_its_length() {
    let simulator = start(&[
        ("events", "3"),
        ("invalid_percent", "100"),
        ("invalid_kinds", "oversize"),
        ("oversize_bytes", "70000"),
        ("close_at_end", "true"),
    ]);
    let (events, _) = read_to_end(&mut open(&simulator));
    assert_eq!(events.iter().map(Vec::len).collect::<Vec<_>>(), [70_000; 3]);
    assert!(events.iter().all(|event| rejected_by(&schema(), event).is_none()));
}

#[test]
fn the_report_counts_the_events_that_arrived() {
    let simulator = start(&[&MIXED[..], &[("close_at_end", "true"), ("invalid_mix", "random")]].concat());
    let (events, _) = read_to_end(&mut open(&simulator));
    let report = wait_for(&simulator, |report| report.events_confirmed == 3000);

    let schema = schema();
    let (mut keys, mut seen, mut rules) = (HashSet::new(), HashSet::new(), HashMap::<String, u64>::new());
    let (mut redeliveries, mut updates) = (0, 0);
    for event in events {
        if let Some(rule) = rejected_by(&schema, &event) {
            *rules.entry(rule).or_default() += 1;
            continue;
        }
        let value: Value = serde_json::from_slice(&event).unwrap();
        let is_new_key = keys.insert(value["idempotencyKey"].as_str().unwrap().to_owned());
        let is_new = seen.insert(event);
        redeliveries += u64::from(!is_new);
        updates += u64::from(is_new && !is_new_key);
    }
    assert_eq!((report.unique_keys, report.redeliveries, report.updates), (keys.len() as u64, redeliveries, updates));
    for (kind, rule) in [
        (InvalidKind::NotJson, "json"),
        (InvalidKind::MissingField, "required"),
        (InvalidKind::UnknownKey, "additionalProperties"),
        (InvalidKind::BadEnum, "enum"),
        (InvalidKind::BadDate, "format"),
        (InvalidKind::BadKeyPattern, "pattern"),
    ] {
        assert_eq!(report.invalid(kind), rules[rule], "{rule}");
    }
    // 20, 10 and 10 percent of 3000, about.
    assert!((500..700).contains(&report.redeliveries) && (220..380).contains(&report.updates), "{report}");
    assert!((220..380).contains(&report.invalid_total()), "{report}");
    assert_eq!(report.events, 3000);
    assert!(report.finished);
    let json: Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!(json["unique_keys"], report.unique_keys);
    assert_eq!(json["invalid_by_kind"]["bad_enum"], report.invalid(InvalidKind::BadEnum));
}

#[test]
fn the_wall_clock_stamps_events_when_set() {
    let stamp = |settings: &[(&str, &str)]| {
        let event: Value = serde_json::from_slice(&generate(&options(settings)).next().unwrap()).unwrap();
        event["timestamp"].as_str().unwrap().to_owned()
    };
    // "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7)
    let time_of_day = || httpdate::fmt_http_date(SystemTime::now())[17..25].to_owned();
    assert_eq!(stamp(&[]), "2026-01-01T00:00:00.000Z");
    let before = time_of_day();
    let stamped = stamp(&[("wall_clock", "true")])[11..19].to_owned();
    let after = time_of_day();
    // Midnight may lie between the two.
    assert!((before <= stamped && stamped <= after) || after < before, "{before} {stamped} {after}");
}

// ------------------------------------------------------------------------------------- token endpoint and handshake

#[test]
fn a_good_request_gets_a_token_with_its_lifetime_and_scope() {
    let simulator = start(&[("token_lifetime", "90s")]);
    let (status, _, body) = request_token(&simulator, form(&simulator));
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&"Bearer".into(), &90.into()));
    assert_eq!(answer["scope"], "data-actions:read");
    assert_ne!(token(&simulator), token(&simulator));
    assert_eq!(simulator.report().tokens_issued, 3);
}

#[test]
fn a_bad_token_request_is_refused_with_the_error_of_rfc_6749() {
    let simulator = start(&[]);
    let change = |name: &'static str, value: Option<&str>| {
        let mut form = form(&simulator);
        form.retain(|(found, _)| *found != name);
        form.extend(value.map(|value| (name, value.to_owned())));
        form
    };
    let twice = [form(&simulator), vec![("scope", "data-actions:read".into())]].concat();
    let cases = [
        (change("grant_type", None), 400, "invalid_request"),
        (change("grant_type", Some("password")), 400, "unsupported_grant_type"),
        (change("client_id", None), 401, "invalid_client"),
        (change("client_id", Some("somebody")), 401, "invalid_client"),
        (change("client_secret", Some("wrong")), 401, "invalid_client"),
        (change("scope", None), 400, "invalid_scope"),
        (change("scope", Some("everything")), 400, "invalid_scope"),
        (twice, 400, "invalid_request"),
    ];
    let count = cases.len() as u64;
    for (form, expected_status, code) in cases {
        let (status, _, body) = request_token(&simulator, form.clone());
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &answer["error"]), (expected_status, &code.into()), "{form:?}");
        assert!(!answer["error_description"].as_str().unwrap().is_empty());
        assert!(!body.contains(simulator.client_secret()));
    }
    assert_eq!(simulator.report().tokens_refused, count);

    let get = agent().get(simulator.oauth_url()).call().unwrap();
    assert_eq!((get.status().as_u16(), get.headers()["allow"].to_str().unwrap()), (405, "POST"));
    let json = agent().post(simulator.oauth_url()).content_type("application/json").send("{}").unwrap();
    assert_eq!(json.status().as_u16(), 400);
}

#[test]
fn the_first_token_requests_fail_with_the_given_statuses() {
    for (retry_after, expected) in [("absent", None), ("7", Some("7"))] {
        let simulator = start(&[("token_failures", "401,403,429*2,500,503"), ("retry_after", retry_after)]);
        let statuses = [401, 403, 429, 429, 500, 503];
        for status in statuses {
            let (found, header, body) = request_token(&simulator, form(&simulator));
            assert_eq!(found, status);
            assert!(serde_json::from_str::<Value>(&body).unwrap()["error"].is_string());
            let expected = expected.filter(|_| [429, 503].contains(&status));
            assert_eq!(header.as_deref(), expected, "{status}");
        }
        token(&simulator);
        let report = simulator.report();
        assert_eq!((report.tokens_refused, report.tokens_issued), (6, 1));
    }
}

#[test]
fn retry_after_can_be_a_date() {
    let simulator = start(&[("token_failures", "429"), ("retry_after", "date:100")]);
    let before = SystemTime::now();
    let (_, header, _) = request_token(&simulator, form(&simulator));
    let date = httpdate::parse_http_date(&header.unwrap()).unwrap();
    // The date has whole seconds.
    assert!(date >= before + Duration::from_secs(99) && date <= SystemTime::now() + Duration::from_secs(100));
}

#[test]
fn a_wrong_token_response_is_sent_as_given() {
    let simulator = start(&[("granted_scope", "other:read")]);
    assert!(request_token(&simulator, form(&simulator)).2.contains("other:read"));
    let simulator = start(&[("granted_scope", "")]);
    assert!(!request_token(&simulator, form(&simulator)).2.contains("scope"));
    let simulator = start(&[("token_answer", "<html>")]);
    let (status, _, body) = request_token(&simulator, form(&simulator));
    assert_eq!((status, body.as_str()), (200, "<html>"));
}

#[test]
fn the_first_handshakes_fail_with_the_given_statuses() {
    let simulator = start(&[("handshake_failures", "401,403,404,429,503"), ("retry_after", "3")]);
    let token = token(&simulator);
    for status in [401, 403, 404, 429, 503] {
        let response = open_with(&simulator, &token).unwrap_err();
        assert_eq!(response.status().as_u16(), status);
        let header = response.headers().get("retry-after").map(|value| value.to_str().unwrap());
        assert_eq!(header, [429, 503].contains(&status).then_some("3"));
    }
    read(&mut open_with(&simulator, &token).unwrap(), 1);
    let report = simulator.report();
    assert_eq!((report.handshakes_refused, report.connections), (5, 1));
}

/// Sends bytes and returns the status and the whole response.
fn raw(simulator: &Simulator, request: &[u8]) -> (u16, String) {
    let mut socket = tcp(simulator);
    socket.write_all(request).unwrap();
    // The end of the request, for a server that would wait for more.
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).map_or(0, |status| status.parse().unwrap());
    (status, answer)
}

#[test]
fn a_wrong_handshake_is_refused_and_a_good_one_accepted() {
    let simulator = start(&[]);
    let token = token(&simulator);
    let path = "/data-actions/v1/stream/simulator-stream";
    let authorization = format!("Authorization: Bearer {token}");
    let good = [
        authorization.as_str(),
        "Accept: application/json",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let request =
        |first: &str, headers: &[&str]| format!("{first} HTTP/1.1\r\nHost: x\r\n{}\r\n\r\n", headers.join("\r\n"));
    let with = |at: usize, header: &'static str| {
        let mut headers = good;
        headers[at] = header;
        request(&format!("GET {path}"), &headers)
    };
    let cases = [
        (request("GET /data-actions/v1/stream/other", &good), 404),
        (request("GET /elsewhere", &good), 404),
        (request(&format!("POST {path}"), &good), 405),
        (with(0, "X: y"), 401),
        (with(0, "Authorization: Bearer unknown"), 401),
        (with(0, "Authorization: Basic dTpw"), 401),
        (with(1, "X: y"), 406),
        (with(1, "Accept: text/html"), 406),
        (with(2, "X: y"), 426),
        (with(3, "X: y"), 426),
        (with(4, "Sec-WebSocket-Version: 8"), 426),
        (with(5, "X: y"), 400),
        (with(5, "Sec-WebSocket-Key: short"), 400),
        (request(&format!("GET {path}"), &good).replace("HTTP/1.1", "HTTP/1.0"), 426),
    ];
    for (request, status) in cases {
        let (found, answer) = raw(&simulator, request.as_bytes());
        assert_eq!(found, status, "{request}{answer}");
        let body = answer.split("\r\n\r\n").nth(1).unwrap();
        assert!(serde_json::from_str::<Value>(body).unwrap()["error"].is_string(), "{answer}");
        assert_eq!(status == 401, answer.contains("www-authenticate: Bearer"));
    }
    // The key and its accept value are those of RFC 6455, section 1.3.
    let mut socket = tcp(&simulator);
    socket.write_all(request(&format!("GET {path}"), &good).as_bytes()).unwrap();
    let mut answer = [0; 129];
    socket.read_exact(&mut answer).unwrap();
    assert!(text(&answer).contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"), "{}", text(&answer));
}

#[test]
fn an_expired_token_is_refused() {
    let simulator = start(&[("token_lifetime", "300ms")]);
    let old = token(&simulator);
    let deadline = Instant::now() + DEADLINE;
    let response = loop {
        assert!(Instant::now() < deadline, "the token never expired");
        if let Err(response) = open_with(&simulator, &old) {
            break response;
        }
    };
    assert_eq!(response.status().as_u16(), 401);
    assert!(response.headers()["www-authenticate"].to_str().unwrap().contains("invalid_token"));

    let simulator = start(&[("token_lifetime", "1h")]);
    let lasting = token(&simulator);
    assert!(open_with(&simulator, &lasting).is_ok() && open_with(&simulator, &lasting).is_ok());
}

#[test]
fn a_stream_closes_when_its_token_expires_if_set() {
    let simulator = start(&[("token_lifetime", "1s"), ("close_when_expired", "true"), ("events", "3")]);
    let (events, end) = read_to_end(&mut open(&simulator));
    assert_eq!((events.len(), end), (3, End::Closed(4001, "token expired".into())));
}

#[test]
fn garbage_is_refused_and_other_clients_are_served() {
    let simulator = start(&[("events", "5")]);
    let huge = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &vec![b'x'; 40_000]].concat();
    let cases: [(&[u8], u16); 6] = [
        (b"", 0),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"\xff\xfe\x00\x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\xff\xff: x\r\n\r\n", 400),
        (b"POST /oauth/token HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n", 413),
        (&huge, 431),
    ];
    for (bytes, status) in cases {
        assert_eq!(raw(&simulator, bytes).0, status, "{}", text(&bytes[..bytes.len().min(60)]));
    }
    assert_eq!(simulator.report().requests_refused, 5);
    assert_eq!(read(&mut open(&simulator), 5), expected(&simulator));
}

// ------------------------------------------------------------------------------------------------- faults of streams

#[test]
fn a_stream_closes_with_its_code_after_exactly_n_events() {
    for (code, after, seen) in [
        ("1000", 0, 1000),
        ("1001", 1, 1001),
        ("1008", 50, 1008),
        ("1011", 9, 1011),
        ("4001", 10, 4001),
        ("1005", 3, 1005),
    ] {
        let simulator = start(&[
            ("events", "100"),
            ("close_after", &after.to_string()),
            ("close_code", code),
            ("close_reason", "because"),
            ("close_connections", "2"),
            ("close_at_end", "true"),
        ]);
        for round in 0..2 {
            let (events, end) = read_to_end(&mut open(&simulator));
            let reason = if seen == 1005 { "" } else { "because" };
            assert_eq!((events.len(), end), (after, End::Closed(seen, reason.into())), "round {round}");
        }
        let (rest, _) = read_to_end(&mut open(&simulator));
        assert_eq!(rest, expected(&simulator)[2 * after..]);
        let report = wait_for(&simulator, |report| report.events_confirmed == 100);
        assert_eq!((report.closes, report.connections, report.finished), (3, 3, true));
    }
}

#[test]
fn a_cut_with_a_fin_loses_no_sent_event() {
    let simulator = start(&[("cut_after", "5000"), ("cut_how", "end")]);
    let mut stream = open_narrow(&simulator);
    wait_for(&simulator, |report| report.cuts == 1);
    // A socket that is already closed would respond to this with a reset.
    stream.send(Message::Ping("anybody?".into())).unwrap();
    let (events, end) = read_to_end(&mut stream);
    assert_eq!((events.len(), end), (5000, End::Cut));
}

#[test]
fn a_cut_with_a_reset_is_seen_as_a_reset() {
    let simulator = start(&[("cut_after", "5000"), ("cut_how", "reset")]);
    let mut stream = open_narrow(&simulator);
    let (events, end) = read_to_end(&mut stream);
    assert!(events.len() <= 5000, "events on the way may be lost");
    assert_eq!(end, End::Reset);
    let report = simulator.report();
    assert_eq!((report.events, report.cuts, report.closes), (5000, 1, 0));
    assert_eq!(read(&mut open(&simulator), 1), expected(&simulator)[5000..5001], "the next connection continues");
}

#[test]
fn the_earliest_fault_comes_first() {
    let simulator = start(&[("close_after", "10"), ("cut_after", "20"), ("cut_connections", "2"), ("cut_how", "end")]);
    let ends = [(10, End::Closed(1008, "simulated".into())), (20, End::Cut)];
    for (count, expected) in ends {
        let (events, end) = read_to_end(&mut open(&simulator));
        assert_eq!((events.len(), end), (count, expected));
    }
}

#[test]
fn a_silent_connection_stays_open_and_sends_nothing() {
    let simulator = start(&[("silence_after", "5")]);
    let mut stream = open(&simulator);
    assert_eq!(read(&mut stream, 5), expected(&simulator)[..5]);
    stream.send(Message::Ping("are you there?".into())).unwrap();
    // The simulator has the ping; a pong would be here by the time a second ping has arrived.
    wait_for(&simulator, |report| report.pings_received == 1);
    stream.send(Message::Ping("hello?".into())).unwrap();
    let report = wait_for(&simulator, |report| report.pings_received == 2);
    assert_eq!((report.events, report.silences, report.closes), (5, 1, 0));
    assert_eq!(read_arrived(&mut stream), (vec![], End::Nothing));
    assert_eq!(read(&mut open(&simulator), 1), expected(&simulator)[5..6], "the next connection continues");
}

#[test]
fn the_last_events_come_again_after_a_reconnect() {
    let simulator = start(&[
        ("events", "60"),
        ("close_after", "20"),
        ("close_connections", "2"),
        ("replay_events", "5"),
        ("close_at_end", "true"),
        ("redelivery_percent", "30"),
    ]);
    let expected = expected(&simulator);
    let mut streams = (0..4).map(|_| read_to_end(&mut open(&simulator)));
    assert_eq!(streams.next().unwrap().0, expected[..20]);
    assert_eq!(streams.next().unwrap().0, expected[15..35]);
    assert_eq!(streams.next().unwrap().0, expected[30..]);
    assert_eq!(streams.next().unwrap().0, expected[55..], "also after the end");
    let report = simulator.report();
    assert_eq!((report.events, report.replays), (75, 15));
    let first_time = report.unique_keys + report.redeliveries + report.updates + report.invalid_total();
    assert_eq!(first_time, 60);
}

#[test]
fn a_new_connection_gets_the_events_until_it_ends() {
    let simulator = start(&[("events", "endless"), ("rate", "2000")]);
    let mut old = open(&simulator);
    let mut events = read(&mut old, 10);
    let mut new = open(&simulator);
    let first_of_new = read(&mut new, 50);
    let (rest_of_old, end) = read_arrived(&mut old);
    assert_eq!(end, End::Nothing, "the old one stays open, without events");
    events.extend(rest_of_old);
    events.extend(first_of_new);
    let expected: Vec<_> = simulator.events().take(events.len()).collect();
    assert!(events == expected, "none is missing and none comes twice");

    old.send(Message::Ping("still there".into())).unwrap();
    assert_eq!(old.read().unwrap(), Message::Pong("still there".into()));
    drop(new);
    assert!(next(&mut old).is_ok(), "it is the newest connection again");
}

#[test]
fn a_new_connection_takes_over_from_one_that_is_not_read() {
    let (simulator, mut old) = stuck();
    let mut new = open(&simulator);
    let of_new = read(&mut new, 100);
    let (mut events, end) = read_arrived(&mut old);
    assert_eq!(end, End::Nothing);
    events.extend(of_new);
    let expected: Vec<_> = simulator.events().take(events.len()).collect();
    assert!(events == expected, "none is missing and none comes twice");
}

// -------------------------------------------------------------------------------------------- pings, pace, the end

#[test]
fn pings_come_after_n_events_and_pongs_confirm_them() {
    let simulator = start(&[("events", "95"), ("ping_every", "10")]);
    let mut stream = open(&simulator);
    let mut so_far = 0;
    let mut seen = Vec::new();
    while seen.last() != Some(&95) {
        match stream.read().unwrap() {
            Message::Text(_) => so_far += 1,
            Message::Ping(_) => {
                stream.flush().unwrap();
                seen.push(so_far);
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(seen, [10, 20, 30, 40, 50, 60, 70, 80, 90, 95]);
    let report = wait_for(&simulator, |report| report.events_confirmed == 95);
    assert_eq!(report.pings_sent, 10);
}

#[test]
fn unread_events_are_not_confirmed() {
    let simulator = start(&[("events", "30"), ("ping_every", "10")]);
    let mut stream = open(&simulator);
    assert!(simulator.wait_finished(DEADLINE));
    assert_eq!(simulator.report().events_confirmed, 0);
    // The 15th event comes after the ping for the first ten.
    read(&mut stream, 15);
    let report = wait_for(&simulator, |report| report.events_confirmed > 0);
    assert_eq!(report.events_confirmed, 10);
}

#[test]
fn an_idle_stream_is_pinged_at_its_interval() {
    let simulator = start(&[("events", "0"), ("ping_interval", "20ms")]);
    let mut stream = open(&simulator);
    for _ in 0..3 {
        assert!(stream.read().unwrap().is_ping());
    }
}

#[test]
fn a_clients_ping_gets_its_pong_between_events_and_after_them() {
    let simulator = start(&[("events", "20000")]);
    let mut stream = open(&simulator);
    stream.send(Message::Ping("amid".into())).unwrap();
    let mut has_pong = false;
    for _ in 0..20_000 {
        while !matches!(stream.read().unwrap(), Message::Text(_)) {
            has_pong = true;
        }
    }
    if !has_pong {
        while stream.read().unwrap() != Message::Pong("amid".into()) {}
    }
    stream.send(Message::Ping("after".into())).unwrap();
    while stream.read().unwrap() != Message::Pong("after".into()) {}
    assert_eq!(wait_for(&simulator, |report| report.pings_received == 2).events, 20_000);
}

#[test]
fn events_come_no_faster_than_the_rate() {
    let simulator = start(&[("rate", "500")]);
    let mut stream = open(&simulator);
    next(&mut stream).unwrap();
    let since_first = Instant::now();
    read(&mut stream, 100);
    // The first event is due at once and may have been sent before the second one was due.
    assert!(since_first.elapsed() > Duration::from_millis(150), "{:?}", since_first.elapsed());
}

#[test]
fn the_stream_closes_after_the_last_event_only_if_set() {
    let simulator = start(&[("events", "10")]);
    let mut stream = open(&simulator);
    assert_eq!(read(&mut stream, 10).len(), 10);
    assert!(simulator.wait_finished(DEADLINE));
    assert_eq!(read_arrived(&mut stream), (vec![], End::Nothing));

    let simulator = start(&[("events", "0"), ("close_at_end", "true")]);
    assert!(simulator.report().finished);
    assert_eq!(read_to_end(&mut open(&simulator)), (vec![], End::Closed(1000, "end of stream".into())));
}

#[test]
fn waiting_for_the_end_ends_with_its_timeout_or_a_stop() {
    let simulator = start(&[("events", "10")]);
    assert!(!simulator.wait_finished(Duration::from_millis(10)), "no client has read anything");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| simulator.wait_finished(Duration::MAX));
        simulator.stop();
        assert!(!waiting.join().unwrap());
    });
}

#[test]
fn a_clients_close_is_replied_with_its_code() {
    let simulator = start(&[("events", "endless")]);
    let mut stream = open(&simulator);
    read(&mut stream, 10);
    let frame = tungstenite::protocol::CloseFrame { code: CloseCode::Away, reason: "done".into() };
    stream.close(Some(frame)).unwrap();
    assert_eq!(read_to_end(&mut stream).1, End::Closed(1001, String::new()));
    assert_eq!(simulator.report().closes, 0, "the client closed");
}

#[test]
fn a_client_that_breaks_the_protocol_is_closed_with_1002() {
    let simulator = start(&[("events", "0")]);
    let mut stream = open(&simulator);
    // Not masked.
    stream.get_mut().write_all(b"\x89\x02hi").unwrap();
    assert_eq!(read_to_end(&mut stream).1, End::Closed(1002, "protocol error".into()));
}

// ------------------------------------------------------------------------------------------------ start and stop

/// A simulator whose client does not read, so that its socket's buffers are full.
fn stuck() -> (Simulator, Stream) {
    let simulator = start(&[("events", "endless")]);
    let stream = open_narrow(&simulator);
    let mut sent = wait_for(&simulator, |report| report.events > 0).events;
    let deadline = Instant::now() + DEADLINE;
    loop {
        // This does not wait for something, but sees that nothing happens. TCP's own timers cause pauses of 200 ms.
        std::thread::sleep(Duration::from_millis(700));
        let report = simulator.report();
        if report.events == sent {
            return (simulator, stream);
        }
        assert!(Instant::now() < deadline, "it never stopped: {report}");
        sent = report.events;
    }
}

#[test]
fn a_reader_that_does_not_read_blocks_the_sender() {
    let (simulator, mut stream) = stuck();
    let held = simulator.report().events;
    assert!(held < 200_000, "{held} events are more than socket buffers hold");
    let read = read(&mut stream, usize::try_from(held).unwrap() + 1000);
    assert!(read.into_iter().eq(simulator.events().take(usize::try_from(held).unwrap() + 1000)));
}

#[test]
fn stop_ends_a_blocked_sender_at_once() {
    let (simulator, _stream) = stuck();
    let started = Instant::now();
    simulator.stop();
    // It takes about a millisecond; the limit is for a machine under load.
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    simulator.stop();
}

#[test]
fn stop_ends_every_connection_and_frees_the_port() {
    let simulator = start(&[("silence_after", "5"), ("events", "10")]);
    let (mut idle, mut half) = (tcp(&simulator), tcp(&simulator));
    half.write_all(b"GET /data-ac").unwrap();
    let mut silent = open(&simulator);
    read(&mut silent, 5);
    let mut at_end = open(&simulator);
    read(&mut at_end, 5);
    let port = simulator.port();
    drop(simulator);
    assert_eq!(idle.read(&mut [0; 8]).unwrap_or(0), 0);
    assert_eq!(half.read(&mut [0; 8]).unwrap_or(0), 0);
    assert!(matches!(next(&mut silent), Err(End::Cut | End::Reset)));
    assert!(matches!(next(&mut at_end), Err(End::Cut | End::Reset)));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn a_used_port_is_named_in_the_error() {
    let first = start(&[]);
    let error = Simulator::start(options(&[("port", &first.port().to_string())])).unwrap_err();
    assert_eq!(error.kind(), cxsink::ErrorKind::Connect);
    assert!(error.message().contains(&format!("127.0.0.1:{}", first.port())), "{error}");
    assert!(error.hint().unwrap().contains("port 0"));
}

#[test]
fn an_option_out_of_range_is_named_in_the_error() {
    let cases: [(&[(&str, &str)], &str); 8] = [
        (&[("redelivery_percent", "60"), ("update_percent", "60")], "120 together"),
        (&[("invalid_percent", "1"), ("invalid_kinds", "")], "invalid_kinds is empty"),
        (&[("repeat_window", "0")], "repeat_window"),
        (&[("oversize_bytes", "10")], "oversize_bytes"),
        (&[("replay_events", "1000001")], "replay_events"),
        (&[("stream_id", "a/b")], "stream_id"),
        (&[("token_failures", "200")], "token_failures"),
        (&[("close_reason", &"x".repeat(124))], "close_reason"),
    ];
    for (settings, part) in cases {
        let error = Simulator::start(options(settings)).unwrap_err();
        assert_eq!(error.kind(), cxsink::ErrorKind::InvalidArgument);
        assert!(error.message().contains(part), "{error}");
    }
}

#[test]
fn a_sink_is_configured_in_one_call() {
    let simulator = start(&[("stream_id", "s-1"), ("scope", "other:read"), ("client_id", "me")]);
    let mut config = cxsink::Config::default();
    simulator.apply_to(&mut config);
    assert_eq!(config.oauth.url, format!("http://127.0.0.1:{}/oauth/token", simulator.port()));
    assert_eq!(config.stream.url, format!("ws://127.0.0.1:{}/data-actions/v1/stream/s-1", simulator.port()));
    assert_eq!((config.oauth.client_id.as_deref(), config.oauth.scope.as_str()), (Some("me"), "other:read"));
    assert_eq!(config.stream.id.as_deref(), Some("s-1"));
}
