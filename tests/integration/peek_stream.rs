//! `cxsink peek-stream` shows what a stream sends, goes on where a sink fails, suggests settings, and stores nothing.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::process::{Running, cxsink, output};
use crate::support::talking_server::{TOKEN, Talk, TalkingServer};

const EVENT: &str =
    r#"{"interactionId":"i-1","timestamp":"2026-11-26T16:00:00Z","type":"call","idempotencyKey":"k-1"}"#;
const SECRET: &str = "s3cret of+the \"client\" ü";

/// A stream that says these messages at once.
fn says(messages: &'static [&'static str]) -> TalkingServer {
    TalkingServer::start(move |talk| {
        for message in messages {
            talk.say(message);
        }
        talk.wait();
    })
}

/// A directory of the test's own, and the command in it, for this server.
fn peek(server: &TalkingServer, directory: &Path, settings: &str) -> Command {
    let file = format!("[oauth]\nurl = \"{}\"\nclient_id = \"me\"\nscope = \" \"\n{settings}", server.token_url());
    std::fs::write(directory.join("cxsink.toml"), file).unwrap();
    let mut command = cxsink(directory);
    command.env("CXONE_CLIENT_SECRET", SECRET).env("CXSINK_STREAM__URL", server.stream_url()).arg("peek-stream");
    command
}

/// Runs it to its end: exit code, standard output, standard error.
fn run(server: &TalkingServer, settings: &str, arguments: &[&str]) -> (i32, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let outcome = output(peek(server, directory.path(), settings).args(arguments));
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["cxsink.toml"], "nothing is stored");
    outcome
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some(at) = rest.find(part) else { panic!("{part} is not in its place in {text}") };
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn the_default_stream_is_shown_event_by_event() {
    let server = says(&[EVENT, r#"{"interactionId":"i-2"}"#, "no JSON"]);
    let (code, out, err) = run(&server, "", &["--count", "3"]);
    assert_eq!(code, 0, "{out}{err}");
    has(
        &out,
        &[
            "open",
            &server.stream_url(),
            "received 1",
            EVENT,
            "passes the schema",
            "received 2",
            "does not pass the schema",
            "\"type\" is a required property",
            "received 3",
            "no JSON",
            "3 messages",
            "3 events, 1 of them pass the schema",
            "nothing was stored",
            "schema.inline",
        ],
    );
    assert!(err.contains("one connection only"), "{err}");
}

/// Everything that a conversation can have, with the settings for it.
const SETTINGS: &str = r#"
[stream]
token_in = "message"
open = ['{"action":"register","token":"{token}"}']
open_answer = '"authorized"'
heartbeat = '{"action":"heartbeat"}'
heartbeat_interval = "50ms"
heartbeat_answer = '"pong"'
ignore = [{ pointer = "/command", equals = ["WELCOME"] }]
open_refused = ['"RATE_LIMIT_EXCEEDED"']
[event]
path = "/body/data"
"#;

fn envelope(event: &str) -> String {
    format!(r#"{{"command":"MESSAGE","body":{{"data":{}}}}}"#, Value::from(event))
}

/// Registers, greets, and answers one heartbeat; then this.
fn converse(talk: &mut Talk, then: &[String]) {
    let registered = talk.hear().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&registered).unwrap()["token"], TOKEN);
    talk.say(r#"{"command":"WELCOME"}"#);
    talk.say("\"authorized\"");
    assert_eq!(talk.hear().unwrap(), r#"{"action":"heartbeat"}"#);
    talk.say("\"pong\"");
    for message in then {
        talk.say(message);
    }
    talk.wait();
}

#[test]
fn each_message_is_shown_with_what_becomes_of_it() {
    let server = TalkingServer::start(|talk| {
        converse(talk, &[envelope(EVENT), r#"{"body":{"data":7}}"#.into(), "\"RATE_LIMIT_EXCEEDED\"".into()]);
    });
    let (code, out, err) = run(&server, SETTINGS, &["--count", "6"]);
    assert_eq!(code, 0, "{out}{err}");
    has(
        &out,
        &[
            "sent",
            r#"{"action":"register","token":"***"}"#,
            "(stream.open)",
            "WELCOME",
            "ignored (stream.ignore: { pointer = \"/command\"",
            "\"authorized\"",
            "the stream is open",
            "sent",
            "(stream.heartbeat)",
            "\"pong\"",
            "the answer to the heartbeat",
            "MESSAGE",
            "an event; it passes the schema",
            EVENT,
            "cannot be unwrapped",
            "/body/data: a number",
            "RATE_LIMIT_EXCEEDED",
            "requests a delay",
            "6 messages, 2 answered the opening messages, 2 ignored, 1 cannot be unwrapped; 1 event, 1 of them pass",
        ],
    );
}

#[test]
fn json_has_the_same() {
    let server = TalkingServer::start(|talk| converse(talk, &[envelope(EVENT), "\"what\"".into()]));
    let (code, out, err) = run(&server, SETTINGS, &["--count", "5", "--json"]);
    assert_eq!(code, 0, "{out}{err}");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let is =
        |wanted: &str| lines.iter().find(|line| line["is"] == wanted).unwrap_or_else(|| panic!("no {wanted}: {out}"));
    assert_eq!(lines[0]["open"], server.stream_url());
    assert_eq!(
        (&lines[1]["key"], &lines[1]["sent"]),
        (&"stream.open".into(), &r#"{"action":"register","token":"***"}"#.into())
    );
    assert_eq!(is("open_answer")["received"], "\"authorized\"");
    assert_eq!(is("ignored")["pattern"], "{ pointer = \"/command\", equals = \"WELCOME\" }");
    assert_eq!(is("heartbeat_answer")["received"], "\"pong\"");
    assert_eq!(is("events")["events"][0], serde_json::json!({"event": EVENT, "unwrapped": true, "problems": []}));
    let end = lines.last().unwrap();
    assert_eq!(
        (&end["messages"], &end["events"], &end["valid"], &end["not_unwrapped"]),
        (&5.into(), &1.into(), &1.into(), &1.into())
    );
}

#[test]
fn raw_prints_the_messages_and_nothing_else() {
    let server = says(&[EVENT, "a\x1b[31mb\r\n"]);
    let (code, out, err) = run(&server, "", &["--count", "2", "--raw"]);
    assert_eq!((code, out.as_str()), (0, format!("{EVENT}\na\\u{{1b}}[31mb\n").as_str()), "{err}");
}

/// The settings with those of a block, each in its section.
fn merge(settings: &str, block: &str) -> String {
    let (mut merged, mut section) = (settings.to_owned(), "");
    for line in block.lines().map(str::trim) {
        if !line.starts_with('[') {
            merged = merged.replacen(section, &format!("{section}\n{line}"), 1);
            continue;
        }
        section = line;
        if !merged.contains(section) {
            merged.extend(["\n", section, "\n"]);
        }
    }
    merged
}

#[test]
fn messages_of_an_unknown_stream_suggest_its_settings() {
    let check = |settings: &str, script: fn(&mut Talk), count: &str, expected: &str| {
        let server = TalkingServer::start(script);
        let (code, out, err) = run(&server, settings, &["--count", count]);
        assert_eq!(code, 0, "{out}{err}");
        let (_, block) =
            out.split_once("Settings to try, then peek again:\n").unwrap_or_else(|| panic!("none in {out}"));
        let block = block.split("\n\n").next().unwrap();
        let without_reasons: Vec<_> = block.lines().map(|line| line.split("    #").next().unwrap().trim()).collect();
        assert_eq!(without_reasons.join("\n"), expected, "{out}");
        // They are settings that this program takes, and with them it has nothing more to suggest.
        let merged = merge(settings, block);
        let (code, out, err) = run(&server, &merged, &["--count", count]);
        assert!(code == 0 && !out.contains("Settings to try"), "{merged}: {out}{err}");
    };
    check(
        "",
        |talk| {
            talk.say(&envelope(EVENT));
            talk.wait();
        },
        "1",
        "[event]\npath = \"/body/data\"",
    );
    check(
        "",
        |talk| {
            talk.say(&format!("[{EVENT},{EVENT}]"));
            talk.wait();
        },
        "1",
        "[event]\neach = true",
    );
    check(
        "",
        |talk| {
            talk.say(&format!("{EVENT}\n{EVENT}"));
            talk.wait();
        },
        "1",
        "[event]\nlines = true",
    );
    check(
        "",
        |talk| {
            talk.say("\"tick\"");
            talk.say("\"tick\"");
            talk.say(EVENT);
            talk.wait();
        },
        "3",
        "[stream]\nignore = ['\"tick\"']",
    );
    check(
        "[stream]\nopen = ['{}']\nheartbeat = '[]'\nheartbeat_interval = \"50ms\"\n",
        |talk| {
            talk.hear();
            talk.say(r#"{"command":"CONNECTED"}"#);
            talk.say(r#"{"command":"SUBSCRIBED"}"#);
            talk.hear();
            talk.say(r#"{"command":"HEARTBEAT_ACK"}"#);
            talk.say(EVENT);
            talk.wait();
        },
        "4",
        "[stream]\nopen_answer = { pointer = \"/command\", equals = \"SUBSCRIBED\" }\n\
         heartbeat_answer = { pointer = \"/command\", equals = \"HEARTBEAT_ACK\" }\n\
         ignore = [{ pointer = \"/command\", equals = \"CONNECTED\" }]",
    );
}

#[test]
fn an_answer_that_does_not_come_ends_nothing() {
    let settings = "[stream]\nopen = ['{}']\nopen_answer = '\"welcome\"'\nopen_timeout = \"50ms\"\n";
    let server = TalkingServer::start(|talk| {
        talk.hear();
        talk.say("\"unauthorized\"");
        // Until the client has waited for long enough: it says so by its heartbeat.
        talk.hear();
        talk.say(EVENT);
        talk.wait();
    });
    let settings = settings.to_owned() + "heartbeat = '[]'\nheartbeat_interval = \"200ms\"\n";
    let (code, out, err) = run(&server, &settings, &["--count", "2"]);
    assert_eq!(code, 0, "{out}{err}");
    has(
        &out,
        &[
            "\"unauthorized\"",
            "this seems to be an error",
            "stream.open_answer = '\"welcome\"' did not come within 50ms",
            "an event",
        ],
    );
}

#[test]
fn silence_says_what_to_try() {
    let server = says(&[]);
    let (code, _, err) = run(&server, "", &["--timeout", "1"]);
    assert_eq!(code, 1, "{err}");
    has(&err, &["no message came; nothing came for 1 s", "set stream.open", "stream.heartbeat", "--timeout"]);
}

#[test]
fn a_close_is_shown_with_its_code() {
    let server = TalkingServer::start(|talk| talk.close(4403, "no such topic"));
    let (code, out, err) = run(&server, "", &[]);
    assert_eq!(code, 1, "{out}{err}");
    has(&err, &["code 4403: no such topic", "stream.open", "{ close_code = 4403 }"]);
    let server = TalkingServer::start(|talk| {
        talk.say(EVENT);
        talk.close(1000, "");
    });
    let (code, out, err) = run(&server, "", &[]);
    assert_eq!(code, 0, "{out}{err}");
    has(&out, &["an event", "closed the stream in order", "1 message"]);
}

#[test]
fn a_signal_ends_it_with_its_summary() {
    let server = says(&[EVENT]);
    let directory = tempfile::tempdir().unwrap();
    let mut running = Running::start(&mut peek(&server, directory.path(), ""));
    while !running.line().contains("an event") {}
    running.signal("INT");
    let rest = loop {
        let line = running.line();
        if line.contains("nothing was stored") {
            break line;
        }
    };
    assert!(rest.starts_with("1 message"), "{rest}");
    assert_eq!(running.wait().0, 0);
}

#[test]
fn a_server_that_repeats_the_secrets_shows_none() {
    let server = TalkingServer::start(|talk| {
        let registered = talk.hear().unwrap();
        talk.say(&registered);
        talk.say(&Value::from(registered).to_string());
        let secrets = [TOKEN, SECRET, "header of+4711", "param \"of\" 4711"];
        for secret in secrets {
            talk.say(secret);
            let once = Value::from(secret).to_string();
            talk.say(&once);
            talk.say(&format!(r#"{{"body":{{"data":{}}}}}"#, Value::from(once.clone())));
            talk.say(&once.replace('/', "\\/").replace('ü', "\\u00fc"));
        }
        talk.close(4000, TOKEN);
    });
    let settings = "params = { p = 'param \"of\" 4711' }\n[stream]\nopen = ['{\"token\":\"{token}\"}']\nopen_timeout = \"1s\"\n\
                    headers = { X-Key = \"header of+4711\" }\n";
    for form in [&[][..], &["--raw"], &["--json"], &["-vv"], &["-vv", "--log-format", "json"]] {
        let (code, out, err) = run(&server, settings, &[&["--count", "99"], form].concat());
        assert_eq!(code, 1, "{out}{err}");
        assert!(out.contains("***"), "{out}");
        let shown = format!("{out}{err}");
        for part in ["t0ken", "4711", "s3cret", "client"] {
            let found = shown.lines().find(|line| line.contains(part) && !line.contains("cxsink.toml"));
            assert_eq!(found, None, "{form:?} shows {part}");
        }
    }
}

#[test]
fn it_refuses_what_it_cannot_do() {
    let directory = tempfile::tempdir().unwrap();
    let (code, _, err) = output(cxsink(directory.path()).arg("peek-stream"));
    assert!(code == 2 && err.contains("no stream is configured"), "{err}");
    let server = says(&[EVENT]);
    let mut config = crate::support::config(directory.path(), "sqlite:table.db");
    config.spool.path = directory.path().join("spool.db");
    let sink = cxsink::Sink::open(&config);
    assert!(sink.is_ok());
    let mut command = peek(&server, directory.path(), "");
    let (code, _, err) = output(command.env("CXSINK_SPOOL__PATH", &config.spool.path));
    assert!(code == 1 && err.contains("in use") && err.contains("one connection only"), "{err}");
}

/// Every block of settings in the document is one that this program takes, and every key of its three sections is explained.
#[test]
fn the_document_explains_every_key_with_settings_that_work() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/streams.md")).unwrap();
    let blocks: Vec<&str> = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 6, "{}", blocks.len());
    let directory = tempfile::tempdir().unwrap();
    for block in blocks {
        let file = directory.path().join("cxsink.toml");
        std::fs::write(&file, block).unwrap();
        cxsink::Config::load(&file).unwrap_or_else(|error| panic!("{error}: {block}"));
    }
    for key in cxsink::config::keys() {
        let Some((section, name)) = key.split_once('.') else { continue };
        if ["oauth", "stream", "event"].contains(&section) {
            let is_in_example = |line: &str| line.starts_with(&format!("{name} = "));
            assert!(page.contains(key) || page.lines().any(is_in_example), "{key} is not in docs/streams.md");
        }
    }
}
