use crate::config::Config;

use super::*;

/// A conversation that began at `start`; its token is `t0k"en`.
fn begin(settings: &[(&str, &str)], start: Instant) -> Conversation {
    let mut config = Config::default();
    for (key, value) in settings {
        config.set(key, value).unwrap();
    }
    let rules = Arc::new(Rules::new(&config).unwrap());
    Conversation::begin(&config.stream, &rules, "t0k\"en", Arc::new(Masks::new(["t0k\"en"])), start)
}

fn after(start: Instant, seconds: u64) -> Instant {
    start + Duration::from_secs(seconds)
}

/// An opening with every rule. Pings would be due in between only.
const FULL: [(&str, &str); 9] = [
    ("stream.open_answer", r#"{ pointer = "/command", equals = "CONNECTED" }"#),
    ("stream.open_timeout", "10s"),
    ("stream.open_refused", r#"["\"RATE_LIMIT\"", { close_code = 4429 }]"#),
    ("stream.heartbeat", r#"{"beat":"{token}"}"#),
    ("stream.heartbeat_interval", "30s"),
    ("stream.heartbeat_answer", "\"pong\""),
    ("stream.ignore", r#"[{ pointer = "/command", equals = "SUBSCRIBED" }]"#),
    ("stream.ping_interval", "59s"),
    ("stream.idle_timeout", "60s"),
];
const ANSWER: &[u8] = br#"{"command":"CONNECTED"}"#;

#[test]
fn a_message_moves_the_state_as_its_kind_says() {
    let refused = || Heard::Refused("\"RATE_LIMIT\"".into());
    // The message; what it means before the answer, and after it.
    let table: [(&[u8], Heard, Heard); 8] = [
        (ANSWER, Heard::Opened, Heard::Events),
        (b" {\"command\": \"CONNECTED\"}\n", Heard::Opened, Heard::Events),
        (b"\"RATE_LIMIT\"", refused(), refused()),
        (b"\"pong\"", Heard::Control, Heard::Control),
        (br#"{"command":"SUBSCRIBED"}"#, Heard::Control, Heard::Control),
        (br#"{"command":"MESSAGE"}"#, Heard::Events, Heard::Events),
        (b"garbage \xff", Heard::Events, Heard::Events),
        (b"", Heard::Events, Heard::Events),
    ];
    for (message, opening, open) in table {
        let start = Instant::now();
        let mut conversation = begin(&FULL, start);
        assert!(conversation.is_opening());
        let heard = conversation.hear(message, start);
        assert_eq!(heard, opening, "{}", message.escape_ascii());
        assert_eq!(conversation.is_opening(), heard != Heard::Opened, "{}", message.escape_ascii());

        let mut conversation = begin(&FULL, start);
        conversation.hear(ANSWER, start);
        assert_eq!(conversation.hear(message, start), open, "{}", message.escape_ascii());
        assert!(!conversation.is_opening());
    }
}

#[test]
fn without_an_answer_to_wait_for_it_is_open_at_once() {
    for settings in [&[][..], &[("stream.open", r#"["hello"]"#)], &[("stream.ignore", r#"["x"]"#)]] {
        let conversation = begin(settings, Instant::now());
        assert!(!conversation.is_opening());
        assert_eq!(conversation.rules().is_some(), settings.iter().any(|(key, _)| *key == "stream.ignore"));
    }
}

#[test]
fn an_opening_that_is_never_answered_ends_by_time() {
    let start = Instant::now();
    let mut conversation = begin(&FULL, start);
    assert_eq!(conversation.due(start), Ok(Due::WaitUntil(after(start, 10))));
    // Nothing but the answer is one.
    for message in ["", "\"pong\"", r#"{"command":"SUBSCRIBED"}"#, r#"{"agentId":"hunter2"}"#, r#"{"error":"t0k\"en"}"#]
    {
        conversation.hear(message.as_bytes(), after(start, 9));
    }
    assert_eq!(conversation.due(after(start, 9)), Ok(Due::WaitUntil(after(start, 10))));
    assert_eq!(conversation.due(after(start, 10)), Err(Unanswered));
    let came = conversation.came().to_string();
    assert_eq!(came, "; instead came , then \"pong\", then an object with command (24 bytes), and 2 more");
}

#[test]
fn what_came_is_shown_without_the_token() {
    let start = Instant::now();
    let mut conversation = begin(&FULL, start);
    conversation.hear(br#"{"error":"bad token t0k\"en"}"#, start);
    assert_eq!(conversation.came().to_string(), r#"; instead came {"error":"bad token ***"}"#);
}

#[test]
fn an_answer_at_the_last_moment_counts() {
    let start = Instant::now();
    let mut conversation = begin(&FULL, start);
    assert_eq!(conversation.hear(ANSWER, after(start, 11)), Heard::Opened, "read late, but read");
    assert_eq!(conversation.due(after(start, 11)), Ok(Due::WaitUntil(after(start, 41))));
}

#[test]
fn heartbeats_begin_when_the_stream_is_open() {
    let start = Instant::now();
    let long = [&FULL[..], &[("stream.open_timeout", "50s")]].concat();
    let mut conversation = begin(&long, start);
    assert_eq!(conversation.message(), Some(r#"{"beat":"t0k\"en"}"#));
    assert_eq!(conversation.due(after(start, 40)), Ok(Due::WaitUntil(after(start, 50))), "no heartbeat yet");
    conversation.hear(ANSWER, after(start, 40));
    conversation.heartbeat().pinged(after(start, 40));
    assert_eq!(conversation.due(after(start, 69)), Ok(Due::WaitUntil(after(start, 70))));
    assert_eq!(conversation.due(after(start, 70)), Ok(Due::Message));
}

/// Answered in time, late, twice, and never.
#[test]
fn only_the_answer_to_a_heartbeat_keeps_the_connection() {
    let start = Instant::now();
    let mut conversation = begin(&FULL, start);
    conversation.heartbeat().come_back(start);
    conversation.hear(ANSWER, start);
    let beat = |conversation: &mut Conversation, seconds| {
        assert_eq!(conversation.due(after(start, seconds)), Ok(Due::Message));
        conversation.heartbeat().messaged(after(start, seconds));
    };
    beat(&mut conversation, 30);
    conversation.hear(b"\"pong\"", after(start, 31));
    conversation.hear(b"\"pong\"", after(start, 31));
    conversation.heartbeat().pinged(after(start, 59));
    beat(&mut conversation, 61);
    // Late: the time has passed, but the answer is among what had arrived.
    conversation.heartbeat().received(after(start, 95));
    assert_eq!(conversation.due(after(start, 95)), Ok(Due::Lost(Duration::from_secs(64))));
    conversation.hear(b"\"pong\"", after(start, 95));
    beat(&mut conversation, 95);
    // Never, though events and pongs arrive.
    for seconds in 96..155 {
        conversation.heartbeat().received(after(start, seconds));
        conversation.hear(br#"{"command":"MESSAGE"}"#, after(start, seconds));
        conversation.heartbeat().pinged(after(start, seconds));
        conversation.heartbeat().messaged(after(start, seconds));
    }
    assert_eq!(conversation.due(after(start, 154)), Ok(Due::WaitUntil(after(start, 155))));
    assert_eq!(conversation.due(after(start, 155)), Ok(Due::Lost(Duration::from_secs(60))));
}

#[test]
fn a_heartbeat_without_an_expected_answer_leaves_every_byte_a_sign_of_life() {
    let start = Instant::now();
    let settings = [("stream.heartbeat", "beat"), ("stream.heartbeat_interval", "30s")];
    let mut conversation = begin(&settings, start);
    conversation.heartbeat().pinged(after(start, 59));
    conversation.heartbeat().messaged(after(start, 59));
    conversation.heartbeat().received(after(start, 59));
    assert_eq!(conversation.due(after(start, 78)), Ok(Due::WaitUntil(after(start, 79))));
}

#[test]
fn bytes_keep_an_opening_whose_heartbeats_have_not_begun() {
    let start = Instant::now();
    let long = [&FULL[..], &[("stream.open_timeout", "5m")]].concat();
    let mut conversation = begin(&long, start);
    conversation.heartbeat().come_back(start);
    conversation.heartbeat().received(after(start, 59));
    conversation.heartbeat().pinged(after(start, 100));
    assert_eq!(conversation.due(after(start, 118)), Ok(Due::WaitUntil(after(start, 119))));
    assert_eq!(conversation.due(after(start, 119)), Ok(Due::Lost(Duration::from_secs(60))));
}
