//! Numbers as they are written.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::ptr::from_ref;

use serde_json::{Number, Value as Json};

use super::ParsedEvent;
use super::parse::{number, string};

/// The numbers of an event, with the digits of its text. The text is read at the first number that the tree does not hold exactly.
#[derive(Debug)]
pub(crate) struct Numbers<'e> {
    event: &'e ParsedEvent<'e>,
    /// By the place of a number in the tree, which is borrowed and so stays where it is.
    written: OnceCell<HashMap<*const Number, &'e str>>,
}

impl<'e> Numbers<'e> {
    pub(crate) fn new(event: &'e ParsedEvent<'e>) -> Self {
        Self { event, written: OnceCell::new() }
    }

    /// The text of a number of the event.
    pub(crate) fn written(&self, number: &Number) -> Cow<'e, str> {
        if is_exact(number) {
            return Cow::Owned(number.to_string());
        }
        let written = self.written.get_or_init(|| Reader::read(self.event));
        written.get(&from_ref(number)).map_or_else(|| Cow::Owned(number.to_string()), |&text| Cow::Borrowed(text))
    }
}

/// Whether the tree holds the number as it is written. JSON has one way to write an integer, save for -0, which is kept as a double.
fn is_exact(number: &Number) -> bool {
    number.is_i64() || number.is_u64()
}

/// Reads the text of an event beside its tree. The text is known to be JSON.
struct Reader<'e> {
    rest: &'e str,
    written: HashMap<*const Number, &'e str>,
}

impl<'e> Reader<'e> {
    fn read(event: &'e ParsedEvent<'e>) -> HashMap<*const Number, &'e str> {
        let mut reader = Self { rest: event.text, written: HashMap::new() };
        reader.value(Some(&event.json));
        reader.written
    }

    /// Reads a value; `json` is what the tree has in its place. For a member that comes again, that is the value of the last one, so
    /// what is noted for it is overwritten.
    fn value(&mut self, json: Option<&'e Json>) {
        match self.next() {
            Some(b'{') => {
                self.take(1);
                while self.next() == Some(b'"') {
                    let name = self.take(string(self.rest).len());
                    if self.next() == Some(b':') {
                        self.take(1);
                    }
                    self.value(json.and_then(Json::as_object).and_then(|members| members.get(&*unescaped(name))));
                    self.take_comma();
                }
                self.take(1);
            }
            Some(b'[') => {
                self.take(1);
                for index in 0.. {
                    if matches!(self.next(), None | Some(b']')) {
                        break;
                    }
                    self.value(json.and_then(|json| json.get(index)));
                    self.take_comma();
                }
                self.take(1);
            }
            Some(b'"') => {
                self.take(string(self.rest).len());
            }
            Some(b'-' | b'0'..=b'9') => {
                let text = self.take(number(self.rest).len());
                if let Some(Json::Number(number)) = json
                    && !is_exact(number)
                {
                    self.written.insert(from_ref(number), text);
                }
            }
            // A word: true, false, null.
            _ => {
                let end = self.rest.find(|c: char| !c.is_ascii_lowercase());
                self.take(end.unwrap_or(self.rest.len()).max(1));
            }
        }
    }

    /// The next byte that is no white space.
    fn next(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_start_matches([' ', '\n', '\r', '\t']);
        self.rest.bytes().next()
    }

    fn take(&mut self, len: usize) -> &'e str {
        let (taken, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn take_comma(&mut self) {
        if self.next() == Some(b',') {
            self.take(1);
        }
    }
}

/// The name of a member, of which `quoted` is the text.
fn unescaped(quoted: &str) -> Cow<'_, str> {
    if quoted.contains('\\') {
        return Cow::Owned(serde_json::from_str(quoted).unwrap_or_default());
    }
    Cow::Borrowed(quoted.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, pointer: &str, expected: &str) {
        let event = ParsedEvent::parse(text).unwrap();
        let numbers = Numbers::new(&event);
        let Some(Json::Number(number)) = event.json.pointer(pointer) else { panic!("{text} {pointer}") };
        assert_eq!(numbers.written(number), expected, "{text} {pointer}");
    }

    #[test]
    fn a_number_keeps_its_digits() {
        for number in ["1.10", "-0", "1E400", "-1e-400", "123456789012345678901234567890", "0.1", "1e+05", "7", "-9"] {
            check(number, "", number);
            check(&format!("\t{{ \"a\" :[ null , true,{number} \n] }}"), "/a/2", number);
        }
        check(r#"{"x":"1.5\\","\u0061\"b":{"y":[[1.50],2.50]}}"#, "/a\"b/y/1", "2.50");
        check(r#"{"x":[],"y":{},"z":[[],{},[1.0]]}"#, "/z/2/0", "1.0");
    }

    #[test]
    fn of_duplicate_members_the_last_counts() {
        check(r#"{"a":1.10,"a":1.20}"#, "/a", "1.20");
        check(r#"{"a":{"b":1.10},"\u0061":{"b":1.20}}"#, "/a/b", "1.20");
        check(r#"{"a":[1.10,1.30,{"x":1.50}],"a":[1.20,1.40]}"#, "/a/1", "1.40");
        check(r#"{"a":{"b":1.10},"a":2.50}"#, "/a", "2.50");
        check(r#"{"a":true,"a":[1.10],"a":1e400,"a":{"b":1.50}}"#, "/a/b", "1.50");
    }

    /// JSON text, and the numbers in it with their pointers.
    fn json() -> impl Strategy<Value = (String, Vec<(String, String)>)> {
        let number = "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?";
        let leaf = prop_oneof![
            3 => number.prop_map(|number| (number.clone(), vec![(String::new(), number)])),
            1 => "(null|true|\"[a-z\\[{,:1]{0,3}(\\\\\")?\")".prop_map(|text| (text, Vec::new())),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            let below = |step: String, found: Vec<(String, String)>| {
                found
                    .into_iter()
                    .map(move |(pointer, number)| (format!("/{step}{pointer}"), number))
                    .collect::<Vec<_>>()
            };
            prop_oneof![
                (prop::collection::vec(inner.clone(), 0..5), "[ \n]?").prop_map(move |(items, space)| {
                    let texts: Vec<_> = items.iter().map(|(text, _)| text.as_str()).collect();
                    let text = format!("[{space}{}]", texts.join(&format!("{space},{space}")));
                    (
                        text,
                        items.into_iter().enumerate().flat_map(|(i, (_, found))| below(i.to_string(), found)).collect(),
                    )
                }),
                (prop::collection::btree_map("[a-z]{0,2}", inner, 0..5), "[ \t]?").prop_map(move |(members, space)| {
                    let texts: Vec<_> =
                        members.iter().map(|(name, (text, _))| format!("\"{name}\"{space}:{space}{text}")).collect();
                    let text = format!("{{{space}{}}}", texts.join(&format!("{space},")));
                    (text, members.into_iter().flat_map(|(name, (_, found))| below(name, found)).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_number_is_found_as_it_is_written((text, expected) in json()) {
            let event = ParsedEvent::parse(&text).unwrap();
            let numbers = Numbers::new(&event);
            for (pointer, written) in expected {
                let Some(Json::Number(number)) = event.json.pointer(&pointer) else { panic!("{text} {pointer}") };
                let found = numbers.written(number);
                prop_assert_eq!(&*found, written.as_str(), "{} {}", text, pointer);
            }
        }
    }
}
