//! `check` opens the conversation as a sink does, and says what came instead of an answer.

use cxsink::Config;
use cxsink::check::{CheckArea, CheckReport, CheckStatus, CheckStep};

use crate::support;
use crate::support::talking_server::{TOKEN, Talk, TalkingServer};

const EVENT: &str =
    r#"{"interactionId":"i-1","timestamp":"2026-11-26T16:00:00Z","type":"call","idempotencyKey":"k-1"}"#;

const SETTINGS: [(&str, &str); 10] = [
    ("stream.token_in", "message"),
    ("stream.open", r#"['{"action":"register","token":"{token}"}']"#),
    ("stream.open_answer", "\"authorized\""),
    ("stream.open_timeout", "2s"),
    ("stream.open_refused", "\"RATE_LIMIT\""),
    ("stream.heartbeat", "beat"),
    ("stream.heartbeat_interval", "100ms"),
    ("stream.ping_interval", "100ms"),
    ("stream.heartbeat_answer", "\"pong\""),
    ("stream.ignore", "\"welcome\""),
];

/// The check of a stream that talks so, with these settings over those above; an empty one removes a setting.
fn check(settings: &[(&str, &str)], script: impl Fn(&mut Talk) + Send + Sync + 'static) -> CheckReport {
    let server = TalkingServer::start(script);
    let directory = tempfile::tempdir().unwrap();
    let mut config: Config = support::config(directory.path(), "sqlite:never");
    config.set("oauth.url", &server.token_url()).unwrap();
    config.set("oauth.client_id", "me").unwrap();
    config.set("oauth.client_secret", "s3cret of the client").unwrap();
    config.set("oauth.scope", " ").unwrap();
    config.set("stream.url", &server.stream_url()).unwrap();
    for (key, value) in SETTINGS.iter().chain(settings) {
        config.set(key, value).unwrap();
    }
    let report = cxsink::check(&config, &[CheckArea::Stream], |_| {});
    let json = report.to_json();
    assert!(!json.contains("t0ken") && !json.contains("s3cret") && !json.contains("interactionId\\\":"), "{json}");
    report
}

#[track_caller]
fn says(report: &CheckReport, name: &str, status: CheckStatus, message: &str, hint: &str) {
    let found = report.steps.iter().find(|step| step.name == name);
    let found = found.unwrap_or_else(|| panic!("there is no step {name} in {}", report.to_json()));
    assert_eq!(found.status, status, "{found:?}");
    assert!(found.message.contains(message), "{found:?} does not say {message}");
    assert!(found.hint.as_deref().unwrap_or_default().contains(hint), "{found:?} does not have the hint {hint}");
}

/// Registers as the settings say.
fn register(talk: &mut Talk) {
    assert!(talk.hear().unwrap().starts_with(r#"{"action":"register","token":"t0ken"#));
}

#[test]
fn a_good_conversation_passes_step_by_step() {
    let report = check(&[], |talk| {
        register(talk);
        talk.say("\"welcome\"");
        talk.say("\"authorized\"");
        assert_eq!(talk.hear().unwrap(), "beat");
        talk.say("\"pong\"");
        talk.wait();
    });
    assert!(report.is_ok() && report.count(CheckStatus::Warning) == 0, "{}", report.to_json());
    let names: Vec<_> = report.steps.iter().map(|step| step.name).filter(|name| name.starts_with("stream.")).collect();
    assert_eq!(names, ["stream.tcp", "stream.tls", "stream.handshake", "stream.opening", "stream.heartbeat"]);
    says(&report, "stream.opening", CheckStatus::Passed, "sent one message; the answer is \"authorized\"", "");
    says(&report, "stream.heartbeat", CheckStatus::Passed, "sent one; the answer is \"pong\"", "");
}

#[test]
fn steps_that_are_not_configured_are_not_shown() {
    let plain = [("stream.open", ""), ("stream.open_answer", ""), ("stream.token_in", "header")];
    let no_beat = [("stream.heartbeat_answer", ""), ("stream.heartbeat", "")];
    let report = check(&[&plain[..], &no_beat].concat(), Talk::wait);
    let last = report.steps.last().unwrap();
    assert_eq!((last.name, last.status), ("stream.handshake", CheckStatus::Passed), "{}", report.to_json());
    assert!(last.message.ends_with("opens, and is closed again"), "{last:?}");

    let report = check(&plain, |talk| {
        assert_eq!(talk.hear().unwrap(), "beat");
        talk.say("\"pong\"");
        talk.wait();
    });
    assert!(report.steps.iter().all(|step| step.name != "stream.opening"), "{}", report.to_json());
    says(&report, "stream.heartbeat", CheckStatus::Passed, "the answer is \"pong\"", "");
}

#[test]
fn without_expected_answers_an_objection_is_noticed_all_the_same() {
    let no_answers = [("stream.open_answer", ""), ("stream.heartbeat_answer", "")];
    let report = check(&no_answers, Talk::wait);
    says(&report, "stream.opening", CheckStatus::Passed, "no answer is expected", "");
    says(&report, "stream.heartbeat", CheckStatus::Passed, "no answer is expected", "");
    let report = check(&no_answers, |talk| {
        register(talk);
        talk.close(4401, "bad token");
    });
    says(&report, "stream.opening", CheckStatus::Failed, "the server closed it with code 4401: bad token", "");
    says(&report, "stream.heartbeat", CheckStatus::Skipped, "as stream.opening failed", "");
}

#[test]
fn events_that_came_in_between_are_a_warning() {
    let report = check(&[], |talk| {
        register(talk);
        talk.say(EVENT);
        talk.say("\"authorized\"");
        talk.hear();
        talk.say(EVENT);
        talk.say("\"pong\"");
        talk.wait();
    });
    says(&report, "stream.heartbeat", CheckStatus::Warning, "2 events arrived in between", "leave out the area");
}

/// One step of each kind that fails.
pub(super) fn broken() -> Vec<CheckStep> {
    let unanswered = check(&[("stream.open_timeout", "200ms")], |talk| {
        register(talk);
        talk.say("\"unauthorized\"");
        talk.wait();
    });
    says(&unanswered, "stream.opening", CheckStatus::Failed, "instead came \"unauthorized\"", "peek-stream");
    says(&unanswered, "stream.heartbeat", CheckStatus::Skipped, "as stream.opening failed", "");
    let refused = check(&[], |talk| {
        register(talk);
        talk.say("\"RATE_LIMIT\"");
        talk.wait();
    });
    says(&refused, "stream.opening", CheckStatus::Failed, "\"RATE_LIMIT\"", "stream.open_refused");
    let echo = check(&[("stream.open_timeout", "200ms")], |talk| {
        let registered = talk.hear().unwrap();
        assert!(registered.contains("t0ken"));
        talk.say(&format!("{TOKEN}\u{1b}"));
        talk.say(&registered);
        talk.wait();
    });
    says(
        &echo,
        "stream.opening",
        CheckStatus::Failed,
        "instead came ***\\u{1b}, then an object with action, token",
        "",
    );
    let silent = check(&[("stream.idle_timeout", "300ms")], |talk| {
        register(talk);
        talk.say("\"authorized\"");
        talk.hear();
        talk.say("\"what\"");
        talk.wait();
    });
    says(
        &silent,
        "stream.heartbeat",
        CheckStatus::Failed,
        "did not come within 300ms (stream.idle_timeout); instead came \"what\"",
        "peek-stream",
    );
    let reports = [unanswered, refused, echo, silent];
    let failed = |step: &CheckStep| step.status == CheckStatus::Failed;
    reports.into_iter().flat_map(|report| report.steps).filter(failed).collect()
}

#[test]
fn a_broken_conversation_fails_its_step() {
    assert_eq!(broken().len(), 4);
}
