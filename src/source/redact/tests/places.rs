//! What becomes of the values in known places.

use crate::config::{Config, RedactRule, Redaction};
use crate::event::{Burst, Event};
use crate::source::redact::{Fingerprint, Redacted, Redactor};

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn redactor(rules: &[(&str, Redaction)]) -> Redactor {
    let (_file, config) = configured(rules);
    Redactor::new(&config).unwrap().unwrap()
}

fn configured(rules: &[(&str, Redaction)]) -> (tempfile::NamedTempFile, Config) {
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), format!("{KEY}\n")).unwrap();
    let mut config = Config::default();
    for (pointer, with) in rules {
        let mut rule = RedactRule::new(*pointer, *with);
        rule.key_file = (*with == Redaction::Hmac).then(|| key.path().to_owned());
        config.redact.push(rule);
    }
    config.set("redact", &config.get("redact").unwrap()).unwrap();
    (key, config)
}

#[track_caller]
fn check(rules: &[(&str, Redaction)], event: &str, expected: &str) {
    match redactor(rules).redact(event.as_bytes()) {
        Redacted::Event(text) => assert_eq!(text, expected),
        Redacted::Fingerprint(fingerprint) => panic!("{fingerprint:?}"),
    }
}

use Redaction::{Drop, Hmac, Mask};

#[test]
fn a_dropped_member_leaves_an_object_as_it_was_without_it() {
    let drop = |event: &str, expected: &str| check(&[("/a", Drop)], event, expected);
    drop(r#"{"a":1,"b":1.50}"#, r#"{"b":1.50}"#);
    drop(r#" { "b" : 1.50 , "a" : 1 } "#, r#" { "b" : 1.50 } "#);
    drop(r#"{ "b":1 , "a":{"a":[2]} , "c":3 }"#, r#"{ "b":1 , "c":3 }"#);
    drop(r#"{ "a":1 , "b":2 }"#, r#"{"b":2 }"#);
    drop(r#"{"a":1}"#, "{}");
    drop(r#"{"a":1,"a":2,"b":3,"a":4}"#, r#"{"b":3}"#);
    drop(r#"{"a":1 , "a":2}"#, "{}");
    drop(r#"{"b":{"a":1},"c":["a"]}"#, r#"{"b":{"a":1},"c":["a"]}"#);
    drop(r#"["a"]"#, r#"["a"]"#);
    drop("1", "1");
}

#[test]
fn every_occurrence_of_a_name_is_meant_however_it_is_spelt() {
    check(&[("/a", Mask)], r#"{"a":"x","\u0061":"y","a":"z"}"#, r#"{"a":"***","\u0061":"***","a":"***"}"#);
    check(
        &[("/a~1b/m~0n", Mask)],
        r#"{"a\/b":{"m~n":"x"},"a/b":{"m~n":"y"}}"#,
        r#"{"a\/b":{"m~n":"***"},"a/b":{"m~n":"***"}}"#,
    );
    check(&[("/é", Drop)], r#"{"\u00e9":1,"é":2,"E":3}"#, r#"{"E":3}"#);
    check(&[("/a\"", Drop)], r#"{"a\"":1,"b\\":2}"#, r#"{"b\\":2}"#);
    check(&[("/b\\", Drop)], r#"{"b\\":1,"a\"":2}"#, r#"{"a\"":2}"#);
    check(&[("/", Mask)], r#"{"":"x"}"#, r#"{"":"***"}"#);
    check(&[("/😀", Mask)], r#"{"\ud83d\ude00":"x"}"#, r#"{"\ud83d\ude00":"***"}"#);
}

#[test]
fn a_mask_keeps_the_type() {
    let event = r#"{"t":"x\"y","n":-1.5e3,"y":true,"z":null,"o":{"a":1},"l":[1,2]}"#;
    check(&[("/*", Mask)], event, r#"{"t":"***","n":0,"y":false,"z":null,"o":{},"l":[]}"#);
}

#[test]
fn elements_have_numbers_and_a_dropped_one_is_null() {
    let event = r#"{"l":[ {"p":"x"} , {"p":"y","q":1} , 3 ]}"#;
    check(&[("/l/*/p", Drop)], event, r#"{"l":[ {} , {"q":1} , 3 ]}"#);
    check(&[("/l/1", Drop)], event, r#"{"l":[ {"p":"x"} , null , 3 ]}"#);
    check(&[("/l/*", Drop)], event, r#"{"l":[ null , null , null ]}"#);
    check(&[("/l/2", Mask), ("/l/0/p", Mask)], event, r#"{"l":[ {"p":"***"} , {"p":"y","q":1} , 0 ]}"#);
    check(&[("/l/02", Mask)], event, event);
    check(&[("/l/-", Mask)], event, event);
    check(
        &[("/*/*/p", Mask)],
        r#"{"a":[[{"p":"x"}]],"b":{"c":{"p":"x"}}}"#,
        r#"{"a":[[{"p":"x"}]],"b":{"c":{"p":"***"}}}"#,
    );
    check(&[("/~2", Mask)], r#"{"*":"x","a":"y"}"#, r#"{"*":"***","a":"y"}"#);
    check(
        &[("/*/x", Mask), ("/a/y", Drop)],
        r#"{"a":{"x":1,"y":2,"z":3},"b":{"x":1,"y":2}}"#,
        r#"{"a":{"x":0,"z":3},"b":{"x":0,"y":2}}"#,
    );
    check(&[("/l/10", Drop)], "{\"l\":[0,1,2,3,4,5,6,7,8,9,10,11]}", "{\"l\":[0,1,2,3,4,5,6,7,8,9,null,11]}");
}

/// By `printf %s VALUE | openssl dgst -sha256 -mac HMAC -macopt key:0123456789abcdef0123456789abcdef`.
#[test]
fn a_keyed_hash_is_of_what_a_text_says_and_of_the_json_of_others() {
    let hash = |event: &str| match redactor(&[("/a", Hmac)]).redact(event.as_bytes()) {
        Redacted::Event(text) => serde_json::from_str::<serde_json::Value>(&text).unwrap()["a"].clone(),
        Redacted::Fingerprint(fingerprint) => panic!("{fingerprint:?}"),
    };
    let of_muller = "44dedecfb6c02d74bf96e1b49e58d7e76cfce5f000101a0fc06640c009dd9424";
    assert_eq!(hash(r#"{"a":"Müller"}"#), of_muller);
    assert_eq!(hash(r#"{ "\u0061" : "M\u00fcller" }"#), of_muller);
    assert_eq!(hash(r#"{"a":1.50}"#), "238bb623f94979b120af27e599117969745af2170498ef42ace13f07d589260f");
    assert_eq!(hash(r#"{"a":"1.50"}"#), hash(r#"{"a":1.50}"#));
    assert_ne!(hash(r#"{"a":1.5}"#), hash(r#"{"a":1.50}"#));
    assert_eq!(hash(r#"{"a":null}"#), serde_json::Value::Null);
    for event in [r#"{"a":{"b":"Müller"}}"#, r#"{"a":["Müller"]}"#, r#"{"a":true}"#, r#"{"a":"\ud800"}"#] {
        assert_eq!(hash(event).as_str().unwrap().len(), 64, "{event}");
    }
}

#[test]
fn what_cannot_be_walked_is_a_fingerprint() {
    let redactor = redactor(&[("/a", Drop)]);
    for (event, reason) in [
        (&b"hunter2"[..], "not JSON"),
        (b"{\"a\":\"hunter2\"", "not JSON"),
        (b"{\"a\":hunter2}", "not JSON"),
        (b"{\"a\":\"hunter2\"}{}", "not JSON"),
        (b"{\"a\":\"hunter2\xff\"}", "not UTF-8"),
        (b"\"hunter2\n\"", "not JSON"),
        (b"{'a':'hunter2'}", "not JSON"),
        (b"{\"a\":\"hunter2\",}", "not JSON"),
        (b"\xef\xbb\xbf{\"a\":\"hunter2\"}", "not JSON"),
        (b"", "empty"),
    ] {
        let Redacted::Fingerprint(fingerprint) = redactor.redact(event) else { panic!("{event:?}") };
        let text = fingerprint.text();
        assert!(text.contains(reason) && !text.contains("hunter2") && !text.contains("message\""), "{text}");
        assert_eq!(Fingerprint::parse(text.as_bytes()), Some(fingerprint));
    }
    let text = match redactor.redact(b"hunter2") {
        Redacted::Fingerprint(fingerprint) => fingerprint.text(),
        Redacted::Event(_) => unreachable!(),
    };
    // By `printf hunter2 | sha256sum`.
    assert!(text.contains("f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7"), "{text}");
    for text in [&b"{}"[..], b"[]", br#"{"cxsink_fingerprint":{}}"#, br#"{"cxsink_fingerprint":1}"#] {
        assert_eq!(Fingerprint::parse(text), None);
    }
}

#[test]
fn a_burst_keeps_its_order_its_counts_and_none_of_its_messages() {
    let (_key, mut config) = configured(&[("/a", Mask)]);
    config.set("event.path", "/body").unwrap();
    let redactor = Redactor::new(&config).unwrap().unwrap();
    let mut burst = Burst::default();
    burst.push(br#"{"a":"hunter2"}"#);
    burst.push_message(br#"{"bodi":"hunter2"}"#);
    burst.push(b"hunter2");
    burst.push(br#"{"b":1}"#);
    burst.count_messages(5, 1);
    let mut redacted = Burst::default();
    redactor.redact_burst(&burst, &mut redacted);
    let events: Vec<Event<'_>> = redacted.marked().collect();
    assert_eq!((events[0].bytes, events[0].is_message), (&br#"{"a":"***"}"#[..], false));
    assert_eq!((events[3].bytes, events[3].is_message), (&br#"{"b":1}"#[..], false));
    let of_message = Fingerprint::parse(events[1].bytes).unwrap();
    assert!(events[1].is_message && of_message.is_message);
    assert_eq!(of_message.reason, "/body: nothing is there");
    assert!(events[2].is_message && !Fingerprint::parse(events[2].bytes).unwrap().is_message);
    assert_eq!((redacted.messages(), redacted.ignored()), (5, 1));
    assert!(!redacted.iter().any(|event| event.windows(7).any(|part| part == b"hunter2")));
}

#[test]
fn an_event_does_not_grow_beyond_its_limit() {
    let (_key, mut config) = configured(&[("/*", Hmac)]);
    config.set("stream.event_bytes_max", "1KiB").unwrap();
    let redactor = Redactor::new(&config).unwrap().unwrap();
    let event = |members: usize| format!("[{}1]", "1,".repeat(members - 1));
    assert!(matches!(redactor.redact(event(15).as_bytes()), Redacted::Event(text) if text.len() <= 1024));
    let Redacted::Fingerprint(grown) = redactor.redact(event(16).as_bytes()) else { panic!("it fits") };
    assert!(grown.reason.contains("stream.event_bytes_max = 1024"), "{grown:?}");
    let long = format!("[\"{}\",1]", "x".repeat(4000));
    assert!(matches!(redactor.redact(long.as_bytes()), Redacted::Event(_)), "it has become shorter");
}

#[test]
fn depth_and_length_cost_no_stack_and_no_more_than_their_share() {
    let deep = format!("{{\"a\":{}1{},\"b\":\"xyz\"}}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    check(&[("/b", Mask)], &deep, &deep.replace("xyz", "***"));
    check(&[("/a", Drop)], &deep, "{\"b\":\"xyz\"}");
    check(&[("/a/0/0/0", Drop)], &deep, "{\"a\":[[[null]]],\"b\":\"xyz\"}");
    // All of them lead to the same place.
    let step = |number: u32, bit: u32| if number >> bit & 1 == 0 { "/*" } else { "/a" };
    let pointer =
        |number| (0..8).map(|bit| step(number, bit)).chain([format!("/x{number}").as_str()]).collect::<String>();
    let rules: Vec<String> = (0..256).map(pointer).collect();
    let rules: Vec<(&str, Redaction)> = rules.iter().map(|pointer| (pointer.as_str(), Mask)).collect();
    let event = |value: &str| {
        let members = format!("{{{}\"x255\":{value}}}", "\"y\":1,".repeat(5000));
        format!("{}{members}{}", "{\"a\":".repeat(8), "}".repeat(8))
    };
    check(&rules, &event("\"xyz\""), &event("\"***\""));
}

#[test]
fn debug_shows_no_key() {
    let shown = format!("{:?}", redactor(&[("/a", Hmac)]));
    assert!(shown.contains("Hmac") && !shown.contains(KEY), "{shown}");
}
