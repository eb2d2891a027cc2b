//! The events of messages: byte for byte what the message has, whatever its envelope; and what cannot be unwrapped, whole.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn settings(path: Option<&str>, each: bool, lines: bool) -> EventConfig {
    EventConfig { path: path.map(Into::into), each, lines }
}

fn unwrapper(path: &str, each: bool) -> Unwrapper {
    Unwrapper::new(&settings(Some(path), each, false)).unwrap().unwrap()
}

fn lines(path: Option<&str>, each: bool) -> Unwrapper {
    Unwrapper::new(&settings(path, each, true)).unwrap().unwrap()
}

/// The events of a burst, and whether each is a whole message.
fn marked(burst: &Burst) -> Vec<(&str, bool)> {
    burst.marked().map(|event| (std::str::from_utf8(event.bytes).unwrap(), event.is_message)).collect()
}

#[track_caller]
fn check(unwrapper: &Unwrapper, message: &str, events: &[&str]) {
    let mut burst = Burst::default();
    assert_eq!(unwrapper.unwrap(message.as_bytes(), &mut burst), events.len(), "{message}");
    assert_eq!(marked(&burst), events.iter().map(|event| (*event, false)).collect::<Vec<_>>(), "{message}");
}

/// The message is kept whole, beside what was in the burst before, and this is why.
#[track_caller]
fn check_whole(unwrapper: &Unwrapper, message: impl AsRef<[u8]>, reason: &str) {
    let message = message.as_ref();
    let mut burst = Burst::default();
    burst.push(b"before");
    assert_eq!(unwrapper.unwrap(message, &mut burst), 1);
    let events: Vec<_> = burst.marked().map(|event| (event.bytes, event.is_message)).collect();
    assert_eq!(events, [(&b"before"[..], false), (message, true)]);
    burst.truncate(1, 6);
    assert_eq!(unwrapper.unwrap_again(message, &mut burst).unwrap_err(), reason);
    assert_eq!(marked(&burst), [("before", false)], "the burst is as before");
}

#[test]
fn without_settings_nothing_is_unwrapped() {
    assert!(Unwrapper::new(&EventConfig::default()).unwrap().is_none());
    let error = Unwrapper::new(&settings(Some("body"), false, false)).unwrap_err();
    assert!(error.message().starts_with("event.path: ") && error.hint().is_some(), "{error:?}");
}

#[test]
fn an_event_keeps_the_bytes_that_it_has_in_its_message() {
    let event = r#"{ "n" : 1.50e+10,"big":12345678901234567890.10, "t":"\u00e9\/\ud800\u0000","a":[ 1 , 2 ] }"#;
    check(&unwrapper("/body/data", false), &format!(r#"{{"body":{{"x":1,"data" : {event} }} }}"#), &[event]);
    check(&unwrapper("/1", false), &format!("[{{\"meta\":1}},\n{event}\t]"), &[event]);
    check(&unwrapper("", true), &format!(" [ {event} , {event}] "), &[event, event]);
    check(&unwrapper("", true), event, &[event]);
}

#[test]
fn a_text_is_one_level_of_json() {
    let path = unwrapper("/data", false);
    check(&path, r#"{"data":" {\"k\":\"a\\n\\u00e9 \u00e9\"} "}"#, &[r#"{"k":"a\n\u00e9 é"}"#]);
    check(&unwrapper("/data", true), r#"{"data":"[{\"k\":1} , 2.0]"}"#, &[r#"{"k":1}"#, "2.0"]);
    check(&unwrapper("", false), r#""{\"k\":1}""#, &[r#"{"k":1}"#]);
    let text = |text: &str| Value::from(text).to_string();
    let twice = format!(r#"{{"data":{}}}"#, text(&text(r#"{"k":1}"#)));
    check_whole(&path, &twice, "/data: a text that holds a text, not an object");
    let thrice = format!(r#"{{"data":{}}}"#, text(&text(&text("{}"))));
    check_whole(&unwrapper("/data", true), thrice, "/data: a text that holds a text, not an object or an array");
}

#[test]
fn elements_are_events_whatever_they_are() {
    let each = unwrapper("/events", true);
    check(
        &each,
        r#"{"events":[ {"k":1}, null,"text", [1, 2] , 1.0,true,{"k":1}]}"#,
        &[r#"{"k":1}"#, "null", r#""text""#, "[1, 2]", "1.0", "true", r#"{"k":1}"#],
    );
    check(&each, r#"{"events":[]}"#, &[]);
    check(&each, r#"{"events":"[ ]"}"#, &[]);
}

#[test]
fn a_reason_says_what_was_found_where_and_no_value() {
    let path = unwrapper("/body/data", false);
    let at_path = |value: &str| format!(r#"{{"body":{{"data":{value}}},"hunter2":1}}"#);
    check_whole(&path, at_path("null"), "/body/data: null, not an object");
    check_whole(&path, at_path("-12.5"), "/body/data: a number, not an object");
    check_whole(&path, at_path("true"), "/body/data: a boolean, not an object");
    check_whole(&path, at_path("false"), "/body/data: a boolean, not an object");
    check_whole(&path, at_path(r#"[{"k":1}]"#), "/body/data: an array, not an object");
    check_whole(&path, at_path(r#""[{}]""#), "/body/data: a text that holds an array, not an object");
    check_whole(
        &path,
        at_path(r#""hunter2""#),
        "/body/data: a text that is not JSON: expected value at line 1 column 1",
    );
    check_whole(
        &path,
        at_path(r#""{} hunter2""#),
        "/body/data: a text that is not JSON: trailing characters at line 1 column 4",
    );
    check_whole(
        &path,
        at_path(r#""""#),
        "/body/data: a text that is not JSON: EOF while parsing a value at line 1 column 0",
    );
    for nothing in [r#"{"body":{}}"#, r#"{"body":"hunter2"}"#, "[1]", r#""hunter2""#, "7"] {
        check_whole(&path, nothing, "/body/data: nothing is there");
    }
    check_whole(&path, "", "the message is empty");
    check_whole(&path, "hunter2", "the message is not JSON: expected value at line 1 column 1");
    check_whole(&path, b"{\"a\":\"\xff\"}", "the message is not UTF-8 from byte 6");
    check_whole(&unwrapper("", true), "null", "the message: null, not an object or an array");
    check_whole(&unwrapper("/a~1b/0", false), r#"{"a/b":[0]}"#, "/a~1b/0: a number, not an object");
}

#[test]
fn text_that_is_not_unicode_and_nul_are_kept_whole_or_within_the_event() {
    let path = unwrapper("/d", false);
    let reason = "/d: a text that is not Unicode: unexpected end of hex escape at line 1 column 8";
    check_whole(&path, r#"{"d":"\ud800"}"#, reason);
    check_whole(&path, r#"{"d":"\u0000{}"}"#, "/d: a text that is not JSON: expected value at line 1 column 1");
    // Within the event they are its own matter.
    check(&path, r#"{"x":"\ud800","d":{"k":"\ud800\u0000"}}"#, &[r#"{"k":"\ud800\u0000"}"#]);
    check(&path, r#"{"d":"{\"k\":\"\\ud800\\u0000\"}"}"#, &[r#"{"k":"\ud800\u0000"}"#]);
}

#[test]
fn each_line_is_a_message_of_its_own() {
    let plain = lines(None, false);
    check(&plain, "{\"k\":1}\r\n\n  {\"k\": 2}\nnot JSON\n", &["{\"k\":1}", "{\"k\": 2}", "not JSON"]);
    check(&plain, " \n\r\n", &[]);
    check(&plain, "", &[]);
    let each = lines(None, true);
    check(&each, "[1,2]\n{\"k\":3}\n[]", &["1", "2", "{\"k\":3}"]);

    let path = lines(Some("/d"), false);
    let mut burst = Burst::default();
    assert_eq!(path.unwrap(b"{\"d\":{}}\n{\"d\":null}\n\xff\n{\"d\":{\"k\":1}}", &mut burst), 4);
    let events: Vec<_> = burst.marked().map(|event| (event.bytes, event.is_message)).collect();
    let expected: [(&[u8], bool); 4] =
        [(b"{}", false), (b"{\"d\":null}", true), (b"\xff", true), (b"{\"k\":1}", false)];
    assert_eq!(events, expected);
}

#[test]
fn a_message_is_unwrapped_again_if_anything_of_it_can_be() {
    let path = lines(Some("/d"), false);
    let mut burst = Burst::default();
    assert_eq!(path.unwrap_again(b"{\"d\":1}\n{\"d\":{}}", &mut burst), Ok(2));
    assert_eq!(marked(&burst), [("{\"d\":1}", true), ("{}", false)]);
    let reason = path.unwrap_again(b"\n{\"d\":1}\n{}", &mut burst).unwrap_err();
    assert_eq!((reason.as_str(), burst.events()), ("/d: a number, not an object", 2));
    assert_eq!(path.unwrap_again(b"", &mut burst), Ok(0));
    assert_eq!(unwrapper("/d", true).unwrap_again(b"{\"d\":[]}", &mut burst), Ok(0));
}

/// A message of which the end is missing, cut at any byte.
#[test]
fn a_beginning_is_kept_whole() {
    let message = r#"{"x":[1,"é"],"data":"[{\"k\":1},{\"k\":2}]","events":[{"k":3}]}"#;
    for path in ["/data", "/events"] {
        let unwrapper = unwrapper(path, true);
        for end in 0..message.len() {
            let mut burst = Burst::default();
            unwrapper.unwrap(&message.as_bytes()[..end], &mut burst);
            let events: Vec<_> = burst.marked().map(|event| (event.bytes, event.is_message)).collect();
            assert_eq!(events, [(&message.as_bytes()[..end], true)]);
        }
    }
}

#[test]
fn depth_costs_no_stack() {
    for depth in [10_000, 1_000_000] {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let event = format!(r#"{{"k":{deep}}}"#);
        check(&unwrapper("/d", false), &format!(r#"{{"x":{deep},"d":{event}}}"#), &[&event]);
        check(&unwrapper("/d", true), &format!(r#"{{"d":[{event},{deep}]}}"#), &[&event, &deep]);
        check(&unwrapper("/d", false), &serde_json::json!({ "d": event }).to_string(), &[&event]);
        check_whole(&unwrapper("/d", false), format!(r#"{{"d":{deep}}}"#), "/d: an array, not an object");
        // More of them open than close.
        let mut burst = Burst::default();
        unwrapper("/d", true).unwrap(&deep.as_bytes()[..depth], &mut burst);
        assert!(burst.marked().all(|event| event.is_message && event.bytes.len() == depth));
    }
}

/// Only the steps of a pointer count, and no pointer that means something has as many.
#[test]
fn a_pointer_has_127_steps_at_most() {
    let nested = |depth| format!("{}{{}}{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    check(&unwrapper(&"/a".repeat(127), false), &nested(127), &["{}"]);
    let reason = unwrapper(&"/a".repeat(128), false).unwrap_again(nested(128).as_bytes(), &mut Burst::default());
    assert!(reason.unwrap_err().contains("recursion limit exceeded"));
}

#[test]
fn a_huge_array_is_one_burst_and_its_memory_is_given_back() {
    let events: Vec<String> = (0..100_000).map(|number| format!(r#"{{"number":{number}}}"#)).collect();
    let message = format!(r#"{{"events":[{}]}}"#, events.join(","));
    let mut burst = Burst::default();
    assert_eq!(unwrapper("/events", true).unwrap(message.as_bytes(), &mut burst), events.len());
    assert!(burst.is_full() && burst.iter().eq(events.iter().map(String::as_bytes)));
    burst.clear();
    assert!(burst.capacity() <= 4 * 512 * 1024 + 4 * 4 * 2000, "{} bytes are kept", burst.capacity());
}

// ---- any split of events into messages ----

/// An event as a server may write it: white space, escapes, digits and depth of its own. Without line feeds.
fn event() -> impl Strategy<Value = String> {
    let space = || prop_oneof![Just(""), Just(" "), Just("\t \r")];
    let value = prop_oneof![
        Just("null".to_owned()),
        Just("-0".into()),
        Just("1.50e+3".into()),
        Just("12345678901234567890.123456789".into()),
        Just(r#""\u00e9\/\"\\""#.into()),
        Just(r#""\ud800\u0000""#.into()),
        Just(r#""é\n{}[],""#.into()),
        Just(r#"{"k": [ ] , "k":{ }}"#.into()),
        any::<i64>().prop_map(|number| number.to_string()),
        ".{0,8}".prop_map(|text| Value::from(text).to_string()),
    ];
    (space(), "[a-z~/\"]{0,3}", space(), value, space()).prop_map(|(before, name, between, value, after)| {
        format!("{{{before}{}{between}:{between}{value}{after}}}", Value::from(name))
    })
}

/// How events become messages.
#[derive(Debug, Clone)]
struct Wrapping {
    path: Option<&'static str>,
    each: bool,
    lines: bool,
    is_text: bool,
    /// The number of events of each array, and of the envelopes of each message, in turn.
    per_array: Vec<usize>,
    per_message: Vec<usize>,
}

fn wrapping() -> impl Strategy<Value = Wrapping> {
    let path = prop_oneof![Just(None), Just(Some("")), Just(Some("/body/data")), Just(Some("/1")), Just(Some("/a~1b"))];
    let counts = |max: usize| prop::collection::vec(1..max, 1..4);
    (path, any::<bool>(), any::<bool>(), any::<bool>(), counts(5), counts(4)).prop_map(
        |(path, each, lines, is_text, per_array, per_message)| Wrapping {
            path,
            each,
            lines,
            is_text: is_text && (path.is_some() || each),
            per_array,
            per_message,
        },
    )
}

impl Wrapping {
    fn settings(&self) -> EventConfig {
        settings(self.path, self.each, self.lines)
    }

    fn messages(&self, events: &[String]) -> Vec<String> {
        let arrays = if self.each { in_turn(events, &self.per_array) } else { in_turn(events, &[1]) };
        let envelopes: Vec<String> = arrays.into_iter().map(|array| self.envelope(array)).collect();
        if !self.lines {
            return envelopes;
        }
        in_turn(&envelopes, &self.per_message).into_iter().map(|lines| lines.join("\n\r\n")).collect()
    }

    fn envelope(&self, events: &[String]) -> String {
        let value = if self.each { format!("[ {} ]", events.join(" ,")) } else { events[0].clone() };
        let value = if self.is_text { Value::from(value).to_string() } else { value };
        match self.path {
            None | Some("") => value,
            Some("/1") => format!("[{{\"meta\":[]}}, {value} ,null]"),
            Some("/a~1b") => format!("{{\"a/b\":0,\"\\u0061\\/b\":{value}}}"),
            Some(_) => format!("{{\"x\":\"}}\",\"body\":{{ \"data\":{value},\"y\":[1] }}}}"),
        }
    }
}

/// Splits the items into parts of these sizes in turn.
fn in_turn<'a>(mut items: &'a [String], sizes: &[usize]) -> Vec<&'a [String]> {
    let mut parts = Vec::new();
    for &size in sizes.iter().cycle() {
        if items.is_empty() {
            break;
        }
        let (part, rest) = items.split_at(size.min(items.len()));
        parts.push(part);
        items = rest;
    }
    parts
}

proptest! {
    #[test]
    fn any_split_of_events_into_messages_gives_the_same_events(
        events in prop::collection::vec(event(), 0..20),
        wrapping in wrapping(),
    ) {
        let mut burst = Burst::default();
        let messages = wrapping.messages(&events);
        match Unwrapper::new(&wrapping.settings()).unwrap() {
            Some(unwrapper) => {
                let counts: Vec<usize> =
                    messages.iter().map(|message| unwrapper.unwrap(message.as_bytes(), &mut burst)).collect();
                prop_assert_eq!(counts.iter().sum::<usize>(), events.len());
            }
            None => messages.iter().for_each(|message| burst.push(message.as_bytes())),
        }
        prop_assert_eq!(marked(&burst), events.iter().map(|event| (event.as_str(), false)).collect::<Vec<_>>());
    }

    /// Whatever the bytes are, no byte is lost, and the same bytes give the same events.
    #[test]
    fn any_bytes_have_an_outcome(
        message in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "[\\[\\]{}\",:a0-9 \n\\\\]{0,60}".prop_map(String::into_bytes),
        ],
        wrapping in wrapping(),
    ) {
        let Some(unwrapper) = Unwrapper::new(&wrapping.settings()).unwrap() else { return Ok(()) };
        let (mut first, mut second) = (Burst::default(), Burst::default());
        prop_assert_eq!(unwrapper.unwrap(&message, &mut first), unwrapper.unwrap(&message, &mut second));
        prop_assert_eq!(&first, &second);
        if !wrapping.lines && first.marked().any(|event| event.is_message) {
            prop_assert_eq!(first.iter().collect::<Vec<_>>(), [message.as_slice()]);
        }
        match unwrapper.unwrap_again(&message, &mut Burst::default()) {
            Ok(events) => prop_assert_eq!(events, first.events()),
            Err(_) => prop_assert!(first.events() > 0 && first.marked().all(|event| event.is_message)),
        }
    }
}
