//! A value that may be nowhere, the events that hold it in every place that is redacted, and the looking for it.

use std::fs;
use std::path::Path;

use cxsink::Config;

/// The value is searched for in pieces: a text may be cut.
const TEXT_PIECE: usize = 6;
const NUMBER_PIECE: usize = 9;

pub struct Canary {
    /// Letters and digits.
    pub text: String,
    /// A number of 18 digits.
    pub number: String,
}

impl Canary {
    pub fn new() -> Self {
        let text = std::iter::repeat_with(fastrand::alphanumeric).take(24).collect();
        let digits: String = std::iter::repeat_with(|| fastrand::digit(10)).take(17).collect();
        Self { text, number: format!("7{digits}") }
    }

    /// The rules that remove it from [`events`](Self::events).
    pub fn rules(key_file: &Path) -> String {
        let key_file = key_file.display();
        format!(
            r#"[{{ pointer = "/interactionId", with = "hmac", key_file = "{key_file}" }},
                {{ pointer = "/attributes/agentId", with = "hmac", key_file = "{key_file}" }},
                {{ pointer = "/attributes/disposition", with = "mask" }},
                {{ pointer = "/attributes/account", with = "mask" }},
                {{ pointer = "/attributes/notes", with = "drop" }},
                {{ pointer = "/attributes/people/*/phone", with = "mask" }},
                {{ pointer = "/attributes/bag/*", with = "drop" }}]"#
        )
        .replace('\n', " ")
    }

    /// The key for the hashes, as a file.
    pub fn key_file(directory: &Path) -> std::path::PathBuf {
        let path = directory.join("hmac.key");
        fs::write(&path, "0123456789abcdef0123456789abcdef\n").unwrap();
        path
    }

    /// An event with the value in each place.
    pub fn event(&self, key: &str, kind: &str, duration: &str) -> String {
        let Self { text, number } = self;
        format!(
            r#"{{"interactionId":"{text}","timestamp":"2026-11-22T16:00:00Z","type":"{kind}","idempotencyKey":"{key}","attributes":{{"agentId":"{text}","disposition":"{text}","duration":{duration},"account":{number},"notes":{{"{text}":["{text}",{number}]}},"people":[{{"phone":"{text}","role":"a"}},{{"phone":{number}}},{{"phone":["{text}"]}},3],"bag":{{"{text}":"{text}","x":{number}}},"kept":1.50}}}}"#
        )
    }

    /// Events with the value in duplicate members, under escaped names, in other spellings, and in events that are refused at each
    /// stage. Good ones have a key that begins with `good`.
    pub fn events(&self) -> Vec<String> {
        let Self { text, number } = self;
        let escaped = text.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect::<Vec<_>>().concat();
        let event = |key: &str| self.event(key, "call", "5");
        vec![
            event("good-plain"),
            event("good-twice")
                .replacen('{', &format!(r#"{{"interactionId":"{text}","interactionId":[{number}],"#), 1)
                .replace(r#""agentId":"#, &format!(r#""agentId":"{text}","agentId":{{"a":"{text}"}},"agentId":"#)),
            event("good-escaped-names")
                .replace("attributes", "\\u0061ttribute\\u0073")
                .replace("agentId", "agent\\u0049d")
                .replace("\"phone\"", "\"\\u0070hone\"")
                .replace("notes", "note\\u0073"),
            event("good-escaped-values").replace(&format!("\"{text}\""), &format!("\"{escaped}\"")),
            event("good-spaced").replace(':', " : ").replace("16 : 00 : 00", "16:00:00").replace(',', "\n,\t"),
            self.event("bad-schema", "fax", "5"),
            event("bad-deep").replace("1.50", &format!("{}1{}", "[".repeat(200), "]".repeat(200))),
            event("bad-surrogate").replace("1.50", r#""\ud800""#),
            self.event("bad-mapping", "call", "1e300"),
            self.event("bad-check", "call", "500"),
            self.event("bad-trigger", "call", "77"),
            event("bad-json").replace("1.50", "1.50}"),
            event("bad-json-cut").chars().take(300).collect(),
            format!("{text} {number}"),
        ]
    }

    pub fn is_in(&self, bytes: &[u8]) -> bool {
        // Most of a reserve is zeros, and a search takes its time without optimisation.
        let text: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
        let text = String::from_utf8_lossy(&text);
        let pieces = |value: &str, length: usize| {
            value.as_bytes().chunks(length).any(|piece| text.contains(std::str::from_utf8(piece).unwrap()))
        };
        pieces(&self.text, TEXT_PIECE) || pieces(&self.number, NUMBER_PIECE)
    }

    #[track_caller]
    pub fn assert_not_in(&self, what: &str, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        if self.is_in(bytes) {
            let text = String::from_utf8_lossy(bytes);
            let is_it = |line: &&str| self.is_in(line.as_bytes());
            let line = text.lines().find(is_it).unwrap_or_default();
            panic!("{what} holds the value: {}", line.chars().take(2000).collect::<String>());
        }
    }

    /// Searches every file of the folder but those of these names; returns how many there are.
    #[track_caller]
    pub fn assert_not_in_files(&self, folder: &Path, inputs: &[&str]) -> usize {
        let mut count = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                count += self.assert_not_in_files(&path, inputs);
            } else if !inputs.iter().any(|input| path.ends_with(input)) {
                // One that a running process removes at this moment.
                let Ok(bytes) = fs::read(&path) else { continue };
                self.assert_not_in(&path.display().to_string(), bytes);
                count += 1;
            }
        }
        count
    }
}

/// The rules on a configuration.
pub fn redact(config: &mut Config, directory: &Path) {
    config.set("redact", &Canary::rules(&Canary::key_file(directory))).unwrap();
}
