//! Generated texts, compared with the same rules on a tree that keeps duplicate members and the digits of numbers.

use std::fmt::{self, Write as _};

use proptest::prelude::*;
use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::config::{Config, RedactRule, RedactStep, Redaction};
use crate::source::redact::{Redacted, Redactor};

const KEY: &str = "an hmac key of thirty-two bytes or more";

#[derive(Debug, Clone, PartialEq)]
enum Doc {
    /// `null`, `true`, `false`, numbers: as they are written.
    Scalar(String),
    Text(String),
    Array(Vec<Doc>),
    Object(Vec<(String, Doc)>),
}

impl Doc {
    fn parse(raw: &str) -> Self {
        let mut json = serde_json::Deserializer::from_str(raw);
        match raw.as_bytes()[0] {
            b'"' => Self::Text(serde_json::from_str(raw).unwrap()),
            b'[' => json.deserialize_seq(Parts).unwrap(),
            b'{' => json.deserialize_map(Parts).unwrap(),
            _ => Self::Scalar(raw.into()),
        }
    }

    /// As JSON, with spaces and escapes that the numbers choose.
    fn write(&self, into: &mut String, chance: &mut impl FnMut(u32) -> u32) {
        let space = |into: &mut String, chance: &mut dyn FnMut(u32) -> u32| match chance(8) {
            0 => into.push(' '),
            1 => into.push_str("\n\t\r "),
            _ => {}
        };
        space(into, chance);
        match self {
            Self::Scalar(text) => into.push_str(text),
            Self::Text(text) => write_text(text, into, chance),
            Self::Array(elements) => {
                into.push('[');
                for (index, element) in elements.iter().enumerate() {
                    into.push_str(if index > 0 { "," } else { "" });
                    element.write(into, chance);
                }
                into.push_str(if chance(4) == 0 { " ]" } else { "]" });
            }
            Self::Object(members) => {
                into.push('{');
                for (index, (name, member)) in members.iter().enumerate() {
                    into.push_str(if index > 0 { "," } else { "" });
                    space(into, chance);
                    write_text(name, into, chance);
                    space(into, chance);
                    into.push(':');
                    member.write(into, chance);
                }
                into.push_str(if chance(4) == 0 { " }" } else { "}" });
            }
        }
        space(into, chance);
    }

    /// The same with the rules applied; `None` if it is dropped.
    fn redacted(&self, rules: &[(Vec<RedactStep>, Redaction)]) -> Option<Self> {
        if let Some((_, with)) = rules.iter().find(|(steps, _)| steps.is_empty()) {
            return match (with, self) {
                (Redaction::Drop, _) => None,
                (_, Self::Scalar(text)) if text == "null" => Some(self.clone()),
                (Redaction::Hmac, _) => Some(Self::Text(hmac(&self.said()))),
                (Redaction::Mask, Self::Text(_)) => Some(Self::Text("***".into())),
                (Redaction::Mask, Self::Array(_)) => Some(Self::Array(Vec::new())),
                (Redaction::Mask, Self::Object(_)) => Some(Self::Object(Vec::new())),
                (Redaction::Mask, Self::Scalar(text)) => {
                    Some(Self::Scalar(if text.ends_with('e') { "false" } else { "0" }.into()))
                }
            };
        }
        let below = |name: &str| -> Vec<(Vec<RedactStep>, Redaction)> {
            let is_it = |step: &RedactStep| *step == RedactStep::Every || *step == RedactStep::Name(name.into());
            let rules = rules.iter().filter(|(steps, _)| is_it(&steps[0]));
            rules.map(|(steps, with)| (steps[1..].to_vec(), *with)).collect()
        };
        Some(match self {
            Self::Array(elements) => Self::Array(
                (0..)
                    .zip(elements)
                    .map(|(index, element): (u64, _)| {
                        element.redacted(&below(&index.to_string())).unwrap_or(Self::Scalar("null".into()))
                    })
                    .collect(),
            ),
            Self::Object(members) => Self::Object(
                members
                    .iter()
                    .filter_map(|(name, member)| Some((name.clone(), member.redacted(&below(name))?)))
                    .collect(),
            ),
            other => other.clone(),
        })
    }

    /// What is hashed. Of an array or an object that is its own text, which the generated rules never hash.
    fn said(&self) -> String {
        match self {
            Self::Scalar(text) | Self::Text(text) => text.clone(),
            Self::Array(_) | Self::Object(_) => unreachable!(),
        }
    }

    fn has_hashed_structure(&self, rules: &[(Vec<RedactStep>, Redaction)]) -> bool {
        let is_structure = matches!(self, Self::Array(_) | Self::Object(_));
        let is_hashed = rules.iter().any(|(steps, with)| steps.is_empty() && *with == Redaction::Hmac);
        let below = |name: &str| -> Vec<(Vec<RedactStep>, Redaction)> {
            let rules = rules.iter().filter(|(steps, _)| {
                steps.first().is_some_and(|step| *step == RedactStep::Every || *step == RedactStep::Name(name.into()))
            });
            rules.map(|(steps, with)| (steps[1..].to_vec(), *with)).collect()
        };
        is_structure && is_hashed
            || match self {
                Self::Array(elements) => {
                    elements.iter().enumerate().any(|(at, part)| part.has_hashed_structure(&below(&at.to_string())))
                }
                Self::Object(members) => members.iter().any(|(name, part)| part.has_hashed_structure(&below(name))),
                _ => false,
            }
    }
}

struct Parts;

impl<'m> Visitor<'m> for Parts {
    type Value = Doc;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array or an object")
    }

    fn visit_seq<A: SeqAccess<'m>>(self, mut elements: A) -> Result<Doc, A::Error> {
        let mut found = Vec::new();
        while let Some(element) = elements.next_element::<&RawValue>()? {
            found.push(Doc::parse(element.get()));
        }
        Ok(Doc::Array(found))
    }

    fn visit_map<A: MapAccess<'m>>(self, mut members: A) -> Result<Doc, A::Error> {
        let mut found = Vec::new();
        while let Some((name, member)) = members.next_entry::<String, &RawValue>()? {
            found.push((name, Doc::parse(member.get())));
        }
        Ok(Doc::Object(found))
    }
}

fn write_text(text: &str, into: &mut String, chance: &mut (impl FnMut(u32) -> u32 + ?Sized)) {
    into.push('"');
    for c in text.chars() {
        let is_escaped = chance(4) == 0;
        match c {
            '"' | '\\' => into.extend(['\\', c]),
            '/' if is_escaped => into.push_str("\\/"),
            _ if is_escaped => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(into, "\\u{unit:04x}");
                }
            }
            _ => into.push(c),
        }
    }
    into.push('"');
}

/// By the formula of RFC 2104.
fn hmac(text: &str) -> String {
    let mut pads = [[0x36_u8; 64], [0x5c; 64]];
    for pad in &mut pads {
        pad.iter_mut().zip(KEY.bytes()).for_each(|(byte, key)| *byte ^= key);
    }
    let inner = Sha256::digest([&pads[0][..], text.as_bytes()].concat());
    let outer = Sha256::digest([&pads[1][..], &inner[..]].concat());
    outer.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "0", "1", "", "*", "a/b", "~", "é", "😀", "\"", "\\"]).prop_map(String::from)
}

fn doc() -> impl Strategy<Value = Doc> {
    let scalars = ["null", "true", "false", "0", "-0", "1.50", "1e400", "-12345678901234567890.10", "1E-7"];
    let leaf = prop_oneof![
        prop::sample::select(scalars.to_vec()).prop_map(|text| Doc::Scalar(text.into())),
        "[a\"\\\\{}\\[\\],:é😀/]{0,4}".prop_map(Doc::Text),
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Doc::Array),
            prop::collection::vec((name(), inner), 0..5).prop_map(Doc::Object),
        ]
    })
}

fn rule() -> impl Strategy<Value = RedactRule> {
    let step = prop_oneof![3 => name().prop_map(|name| escaped(&name)), 1 => Just("*".to_owned())];
    let with = prop::sample::select(vec![Redaction::Drop, Redaction::Mask, Redaction::Hmac]);
    (prop::collection::vec(step, 1..4), with).prop_map(|(steps, with)| {
        let pointer = format!("/{}", steps.join("/"));
        RedactRule::new(pointer, with)
    })
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1").replace('*', "~2")
}

/// As many of the rules as do not overlap.
fn configured(rules: Vec<RedactRule>, key: &std::path::Path) -> Config {
    let mut config = Config::default();
    for mut rule in rules {
        rule.key_file = (rule.with == Redaction::Hmac).then(|| key.to_owned());
        let before = config.redact.clone();
        config.redact.push(rule);
        let text = config.get("redact").unwrap();
        if config.clone().set("redact", &text).is_err() {
            config.redact = before;
        }
    }
    config
}

proptest! {
    #[test]
    fn the_same_goes_as_from_a_tree(doc in doc(), rules in prop::collection::vec(rule(), 1..5), seed: u64) {
        let key = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(key.path(), KEY).unwrap();
        let config = configured(rules, key.path());
        let redactor = Redactor::new(&config).unwrap().unwrap();
        let rules: Vec<_> = config.redact.iter().map(|rule| (rule.steps(), rule.with)).collect();
        prop_assume!(!doc.has_hashed_structure(&rules));

        let mut rng = fastrand::Rng::with_seed(seed);
        let mut event = String::new();
        doc.write(&mut event, &mut |below| rng.u32(..below));
        let Redacted::Event(text) = redactor.redact(event.as_bytes()) else { panic!("{event}") };
        let expected = doc.redacted(&rules).unwrap();
        prop_assert_eq!(Doc::parse(text.trim()), expected, "{} {:?}", event, rules);
        if Doc::parse(event.trim()) == Doc::parse(text.trim()) && !rules.iter().any(|(_, with)| *with == Redaction::Mask) {
            prop_assert_eq!(&*text, &*event, "nothing to redact, and another text");
        }
        // What is left is the text's own, byte for byte: it can be found in it in this order.
        if rules.iter().all(|(_, with)| *with == Redaction::Drop) && !text.contains("null") {
            let mut rest = event.chars();
            prop_assert!(text.chars().all(|c| rest.any(|other| other == c)), "{} {}", event, text);
        }
    }

    #[test]
    fn no_bytes_panic_and_none_that_are_not_json_remain(
        doc in doc(),
        rules in prop::collection::vec(rule(), 1..5),
        seed: u64,
        noise in prop::collection::vec(any::<u8>(), 1..3),
    ) {
        let key = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(key.path(), KEY).unwrap();
        let redactor = Redactor::new(&configured(rules, key.path())).unwrap().unwrap();
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut event = String::new();
        doc.write(&mut event, &mut |below| rng.u32(..below));
        let mut event = event.into_bytes();
        let at = rng.usize(..=event.len());
        match rng.u32(..3) {
            0 => event.truncate(at),
            1 => { event.splice(at..at, noise); }
            _ => { event.splice(at..(at + 1).min(event.len()), noise); }
        }
        let is_json = serde_json::from_slice::<&RawValue>(&event).is_ok();
        let is_event = matches!(redactor.redact(&event), Redacted::Event(_));
        prop_assert_eq!(is_event, is_json, "{}", String::from_utf8_lossy(&event));
    }
}
