//! The simulator speaks each profile, tested by a plain client: its own token requests, its own conversation, its own way to the events.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use cxsink::simulator::{Profile, Simulator, SimulatorOptions};
use serde_json::{Value as Json, json};
use tungstenite::error::ProtocolError;
use tungstenite::handshake::HandshakeError;
use tungstenite::{Error, Message, WebSocket};

/// Long enough for a loaded machine; nothing waits this long unless it fails.
const DEADLINE: Duration = Duration::from_secs(20);

struct Client {
    simulator: Simulator,
    profile: Profile,
    files: tempfile::TempDir,
}

type Stream = WebSocket<TcpStream>;

impl Client {
    fn new(profile: Profile, settings: &[(&str, &str)]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let mut options = SimulatorOptions::default();
        options.profile = profile;
        options.token_file = Some(files.path().join("token"));
        options.set("password", "a+b %&=ü:c").unwrap();
        options.set("client_secret", "d+e %&=ü:f").unwrap();
        for (name, value) in settings {
            options.set(name, value).unwrap();
        }
        Self { simulator: Simulator::start(options).unwrap(), profile, files }
    }

    fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.simulator.port())
    }

    fn token(&self) -> String {
        let agent = agent();
        let response = match self.profile {
            Profile::EventHub => {
                let document = self.base() + "/.well-known/openid-configuration";
                let document: Json = json_of(&mut agent.get(document).call().unwrap());
                assert_eq!(document["issuer"], self.base());
                let basic = "Basic c2ltdWxhdG9yLWNsaWVudDpkJTJCZSUyMCUyNSUyNiUzRCVDMyVCQyUzQWY=";
                let form = [("grant_type", "password"), ("username", "simulator-user"), ("password", "a+b %&=ü:c")];
                let request = agent.post(document["token_endpoint"].as_str().unwrap()).header("Authorization", basic);
                json_of(&mut request.send_form(form).unwrap())
            }
            Profile::AgentAssist => {
                let body = json!({"accessKeyId": "simulator-user", "accessKeySecret": "a+b %&=ü:c"}).to_string();
                let request = agent.post(self.simulator.oauth_url()).header("Content-Type", "application/json");
                json_of(&mut request.send(body).unwrap())
            }
            Profile::Genesys => return String::new(),
            _ => return read_token(self.files.path()),
        };
        assert_eq!(response.get("scope"), None, "these responses name no scope");
        response["access_token"].as_str().unwrap().into()
    }

    /// A connection after its handshake.
    fn connect(&self, token: &str) -> Result<Stream, u16> {
        let socket = TcpStream::connect(("127.0.0.1", self.simulator.port())).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let query = if self.profile == Profile::RingCentral { format!("?access_token={token}") } else { String::new() };
        match tungstenite::client(self.simulator.stream_url() + &query, socket) {
            Ok((stream, _)) => Ok(stream),
            Err(HandshakeError::Failure(Error::Http(response))) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// What a client says to open the stream, and the answer to each.
    fn opening(&self, token: &str) -> Vec<(String, String)> {
        let command = |command: &str, body: Json| {
            json!({"command": command, "headers": {"sessionToken": token}, "body": body}).to_string()
        };
        let texts =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(say, answer)| ((*say).into(), (*answer).into())).collect();
        match self.profile {
            Profile::EventHub => {
                texts(&[(&json!({"action": "register", "payload": {"token": token}}).to_string(), r#""authorized""#)])
            }
            Profile::AgentAssist => texts(&[
                (&command("CONNECT", json!({})), "CONNECTED"),
                (&command("SUBSCRIBE", json!({"topic": "simulator-stream"})), "SUBSCRIBED"),
            ]),
            Profile::Genesys => texts(&[(
                r#"{"message":"subscribe","topics":["v2.routing.queues.q.conversations"],"correlationId":"c"}"#,
                r#"{"result":"200","status":"subscribed","correlationId":"c"}"#,
            )]),
            Profile::RingCentral => texts(&[(
                r#"[{"type":"ClientRequest","messageId":"m","method":"POST","path":"/restapi/v1.0/subscription/"},
                    {"eventFilters":["/x"],"deliveryMode":{"transportType":"WebSocket"}}]"#,
                r#"[{"type":"ClientRequest","messageId":"m","status":200},{"#,
            )]),
            Profile::EightByEight => texts(&[(
                &json!({"type": "auth", "data": {"jwt": token, "tenant_id": "simulator-stream"}}).to_string(),
                "auth_success",
            )]),
            _ => Vec::new(),
        }
    }

    /// A stream that is open.
    fn open(&self) -> Stream {
        let token = self.token();
        let mut stream = self.connect(&token).unwrap();
        if self.profile == Profile::RingCentral {
            assert!(next(&mut stream).unwrap().starts_with(r#"[{"type":"ConnectionDetails""#));
        }
        for (say, expected) in self.opening(&token) {
            stream.send(Message::text(say)).unwrap();
            let answer = next(&mut stream).unwrap();
            assert!(answer.contains(&expected), "{answer} does not have {expected}");
        }
        stream
    }

    /// What a client sends at intervals, and its answer.
    fn heartbeat(&self, token: &str) -> Option<(String, &'static str)> {
        let command = json!({"command": "HEARTBEAT", "headers": {"sessionToken": token}, "body": {}}).to_string();
        match self.profile {
            Profile::EventHub => Some((r#"{"action":"heartbeat"}"#.into(), r#""pong""#)),
            Profile::AgentAssist => Some((command, "HEARTBEAT_ACK")),
            Profile::Genesys => Some((r#"{"message":"ping"}"#.into(), "pong")),
            Profile::RingCentral => Some((r#"[{"type":"Heartbeat","messageId":"h"}]"#.into(), r#""messageId":"h""#)),
            _ => None,
        }
    }

    /// The text of the event in a message; `None` for one that holds none.
    fn event(&self, message: &str) -> Option<String> {
        let between = |begin: &str, end: &str| {
            let (_, event) = message.split_once(begin)?;
            Some(event.rsplit_once(end)?.0.to_owned())
        };
        match self.profile {
            Profile::AgentAssist => {
                let data = between(r#""data":"#, "}}")?;
                Some(serde_json::from_str::<String>(&data).unwrap())
            }
            Profile::Genesys => between(r#""eventBody":"#, r#","metadata""#),
            Profile::RingCentral => between(r"},", "]").filter(|_| message.contains("ServerNotification")),
            Profile::EightByEight => between(r#""data":"#, "}"),
            _ => Some(message.into()),
        }
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).proxy(None).timeout_global(Some(DEADLINE)).build().into()
}

fn json_of(response: &mut ureq::http::Response<ureq::Body>) -> Json {
    let body = response.body_mut().read_to_string().unwrap();
    assert_eq!(response.status(), 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

fn read_token(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("token")).unwrap().trim().into()
}

/// The next text of the server; how the connection ended otherwise: the close code, or none.
fn next(stream: &mut Stream) -> Result<String, Option<u16>> {
    let mut code = None;
    loop {
        match stream.read() {
            Ok(Message::Text(text)) => return Ok(text.to_string()),
            Ok(Message::Ping(_)) => stream.flush().unwrap(),
            Ok(Message::Close(frame)) => code = frame.map(|frame| frame.code.into()),
            Ok(_) => {}
            Err(Error::ConnectionClosed | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
                return Err(code);
            }
            Err(Error::Io(error)) if error.kind() == ErrorKind::ConnectionReset => return Err(code),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Reads to the end of the stream.
fn read_to_end(stream: &mut Stream) -> (Vec<String>, Option<u16>) {
    let mut messages = Vec::new();
    loop {
        match next(stream) {
            Ok(message) => messages.push(message),
            Err(code) => return (messages, code),
        }
    }
}

const MIXED: [(&str, &str); 5] = [
    ("events", "500"),
    ("redelivery_percent", "10"),
    ("update_percent", "20"),
    ("invalid_percent", "10"),
    ("close_at_end", "true"),
];

#[test]
fn each_profile_sends_its_events_in_its_envelope() {
    for profile in Profile::ALL.into_iter().filter(|profile| *profile != Profile::DataActions) {
        let client = Client::new(profile, &MIXED);
        let (messages, code) = read_to_end(&mut client.open());
        let events: Vec<String> = messages.iter().filter_map(|message| client.event(message)).collect();
        let expected: Vec<String> = client.simulator.events().map(|event| String::from_utf8(event).unwrap()).collect();
        assert_eq!(events, expected, "{profile:?}");
        assert_eq!(code, Some(1000), "{profile:?}");
        let report = client.simulator.report();
        assert_eq!((report.events, report.messages, report.connections), (500, 500, 1), "{report}");
    }
}

#[test]
fn a_cut_connection_continues_on_the_next_one() {
    let mut settings = MIXED.to_vec();
    settings.extend([("cut_after", "100"), ("cut_how", "end"), ("cut_connections", "2")]);
    for profile in [Profile::EventHub, Profile::RingCentral] {
        let client = Client::new(profile, &settings);
        let mut events = Vec::new();
        for expected in [100, 100, 300] {
            let token = client.simulator.report().tokens_issued;
            let (messages, _) = read_to_end(&mut client.open());
            events.extend(messages.iter().filter_map(|message| client.event(message)));
            assert_eq!(messages.len(), expected, "{profile:?}");
            wait_until("a new token is in the file", || {
                profile != Profile::RingCentral || client.simulator.report().tokens_issued > token
            });
        }
        let sent: Vec<String> = client.simulator.events().map(|event| String::from_utf8(event).unwrap()).collect();
        assert_eq!(events, sent, "{profile:?}");
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn each_heartbeat_is_answered_but_those_that_an_option_names() {
    for profile in [Profile::EventHub, Profile::AgentAssist, Profile::Genesys, Profile::RingCentral] {
        let client = Client::new(profile, &[("events", "0"), ("heartbeats_unanswered", "1")]);
        let mut stream = client.open();
        let token = if profile == Profile::AgentAssist { client.token() } else { String::new() };
        let (say, expected) = client.heartbeat(&token).unwrap();
        stream.send(Message::text(&say)).unwrap();
        wait_until("it has come", || client.simulator.report().heartbeats_received == 1);
        stream.send(Message::text(&say)).unwrap();
        let answer = next(&mut stream).unwrap();
        assert!(answer.contains(expected), "{answer}");
        assert_eq!(client.simulator.report().heartbeats_received, 2);
        stream.get_ref().set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(stream.read().is_err(), "one of two has an answer");
    }
}

#[test]
fn genesys_sends_a_heartbeat_of_its_own_and_announces_its_close() {
    let client = Client::new(
        Profile::Genesys,
        &[("events", "3"), ("rate", "10"), ("heartbeat_interval", "50ms"), ("close_at_end", "true")],
    );
    let (messages, code) = read_to_end(&mut client.open());
    assert!(messages.iter().any(|message| message.contains("WebSocket Heartbeat")), "{messages:?}");
    assert!(messages.last().unwrap().contains("socket_closing"), "{messages:?}");
    assert_eq!(code, Some(1000));
}

#[test]
fn an_opening_is_refused_as_the_platform_does_it() {
    for (profile, expected) in [
        (Profile::EventHub, "RATE_LIMIT_EXCEEDED"),
        (Profile::AgentAssist, r#""responseCode":429"#),
        (Profile::Genesys, r#""result":"429""#),
        (Profile::RingCentral, "CMN-301"),
        (Profile::EightByEight, "TOO_MANY_REQUESTS"),
    ] {
        let client = Client::new(profile, &[("open_failures", "refused"), ("events", "10")]);
        let token = client.token();
        let mut stream = client.connect(&token).unwrap();
        for (say, _) in client.opening(&token) {
            stream.send(Message::text(say)).unwrap();
        }
        while !next(&mut stream).unwrap().contains(expected) {}
        let report = client.simulator.report();
        assert_eq!((report.events, report.openings_refused, report.connections), (0, 1, 0), "{report}");
        if profile == Profile::RingCentral {
            wait_until("a new token is in the file", || read_token(client.files.path()) != token);
        }
        // The second one is not refused.
        drop(stream);
        client.open();
    }
}

#[test]
fn a_token_that_is_unknown_or_has_expired_opens_nothing() {
    for profile in [Profile::EventHub, Profile::AgentAssist, Profile::EightByEight] {
        let client = Client::new(profile, &[("token_lifetime", "40ms")]);
        let token = client.token();
        let is_refused = |token: &str| {
            let mut stream = client.connect(token).unwrap();
            stream.send(Message::text(client.opening(token).remove(0).0)).unwrap();
            next(&mut stream) == Err(Some(4001))
        };
        assert!(is_refused("unknown"), "{profile:?}");
        wait_until("the token has expired", || is_refused(&token));
    }
}

#[test]
fn a_token_in_the_query_is_good_for_one_connection() {
    let client = Client::new(Profile::RingCentral, &[]);
    let token = client.token();
    let first = client.connect(&token).unwrap();
    assert_eq!(client.connect(&token).unwrap_err(), 401);
    wait_until("a new token is in the file", || read_token(client.files.path()) != token);
    client.open();
    drop(first);
    assert_eq!(client.connect("").unwrap_err(), 401);
}

#[test]
fn a_stream_ends_when_its_token_expires() {
    for profile in [Profile::EventHub, Profile::AgentAssist, Profile::RingCentral, Profile::EightByEight] {
        let client = Client::new(profile, &[("token_lifetime", "1s"), ("close_when_expired", "true"), ("events", "5")]);
        let (messages, code) = read_to_end(&mut client.open());
        assert_eq!((messages.len(), code), (5, Some(4001)), "{profile:?}");
    }
}

#[test]
fn what_is_not_acknowledged_comes_again() {
    let client = Client::new(Profile::EightByEight, &[("events", "20")]);
    let mut stream = client.open();
    let first: Vec<String> = (0..20).map(|_| next(&mut stream).unwrap()).collect();
    for message in &first[..15] {
        let id: Json = serde_json::from_str(message).unwrap();
        stream.send(Message::text(json!({"type": "ack", "id": id["id"]}).to_string())).unwrap();
    }
    wait_until("they have come", || client.simulator.report().acknowledgements_received == 15);
    drop(stream);

    let mut stream = client.open();
    let again: Vec<Option<String>> = (0..5).map(|_| client.event(&next(&mut stream).unwrap())).collect();
    let missing: Vec<Option<String>> = first[15..].iter().map(|message| client.event(message)).collect();
    assert_eq!(again, missing);
    wait_until("they are counted", || client.simulator.report().events == 25);
    assert_eq!(client.simulator.report().replays, 5);
}

#[test]
fn a_message_that_the_platform_does_not_know_ends_the_stream() {
    for profile in [Profile::EventHub, Profile::EightByEight] {
        let client = Client::new(profile, &[("events", "0")]);
        for message in ["no JSON", r#"{"type":"nonsense"}"#] {
            let mut stream = client.open();
            stream.send(Message::text(message)).unwrap();
            assert_eq!(next(&mut stream), Err(Some(1008)), "{profile:?}");
        }
    }
}

#[test]
fn arrays_and_lines_hold_several_events() {
    for form in ["array", "lines"] {
        let client =
            Client::new(Profile::EventHub, &[&MIXED[..], &[("message_form", form), ("message_events", "7")]].concat());
        let (messages, _) = read_to_end(&mut client.open());
        let sent: Vec<Vec<u8>> = client.simulator.events().collect();
        let sent: Vec<&str> = sent.iter().map(|event| std::str::from_utf8(event).unwrap()).collect();
        let together = if form == "lines" {
            assert_eq!(messages.len(), 500_usize.div_ceil(7));
            messages.join("\n").replace('\n', ",")
        } else {
            assert!((500_usize.div_ceil(7)..200).contains(&messages.len()), "{}", messages.len());
            let inner: Vec<&str> = messages.iter().map(|array| &array[1..array.len() - 1]).collect();
            inner.join(",")
        };
        assert_eq!(together, sent.join(","));
        let unreadable = |text: &str| serde_json::from_str::<Json>(text).is_err();
        let expected = sent.iter().filter(|event| unreadable(event)).count();
        if form == "array" {
            let found = messages.iter().filter(|message| unreadable(message)).count();
            assert_eq!(found, expected, "an event that is not JSON is alone in its array");
        }
        assert!(expected > 0);
    }
}

#[test]
fn a_profile_with_a_token_file_needs_one() {
    for profile in [Profile::RingCentral, Profile::EightByEight] {
        let mut options = SimulatorOptions::default();
        options.profile = profile;
        let error = Simulator::start(options.clone()).unwrap_err();
        assert!(error.message().contains("token_file: it is missing"), "{error}");
        options.token_file = Some("/nowhere/token".into());
        let error = Simulator::start(options).unwrap_err();
        assert!(error.message().contains("/nowhere/token"), "{error}");
    }
}

#[test]
fn a_file_for_tokens_is_for_this_user_only_and_goes_with_the_simulator() {
    let client = Client::new(Profile::EightByEight, &[]);
    let path = client.files.path().join("token");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    client.simulator.stop();
    assert!(!path.exists());
}
