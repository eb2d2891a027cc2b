//! The value at a JSON pointer, as the bytes that it has in its message: no tree is built, nothing is copied.
//!
//! The whole message is read, so what is found is in a valid document, and of duplicate members the last counts, as in a tree.

use std::fmt;

use serde::de::{Deserialize as _, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::config::pointer;
use crate::error::Result;

/// A JSON pointer (RFC 6901), taken apart once for many messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pointer(Vec<Step>);

/// One step down: a member of an object, or an element of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    name: String,
    index: Option<usize>,
}

impl Pointer {
    /// # Errors
    /// `Config`: it is not a JSON pointer.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        pointer::check(text)?;
        Ok(Self(text.split('/').skip(1).map(Step::new).collect()))
    }
}

impl Step {
    fn new(escaped: &str) -> Self {
        let name = pointer::unescape(escaped);
        let index = pointer::index(&name);
        Self { name, index }
    }
}

/// The bytes of the value at `pointer`; `None` if the message has none there.
///
/// # Errors
/// The message is not JSON. The error's text holds nothing of it.
pub(crate) fn at<'m>(message: &'m str, pointer: &Pointer) -> serde_json::Result<Option<&'m str>> {
    let mut json = serde_json::Deserializer::from_str(message);
    let found = Descent(&pointer.0).deserialize(&mut json)?;
    json.end()?;
    Ok(found.map(RawValue::get))
}

/// The steps that are left.
#[derive(Clone, Copy)]
struct Descent<'p>(&'p [Step]);

impl<'m> DeserializeSeed<'m> for Descent<'_> {
    type Value = Option<&'m RawValue>;

    fn deserialize<D: Deserializer<'m>>(self, json: D) -> std::result::Result<Self::Value, D::Error> {
        match self.0.split_first() {
            None => <&RawValue>::deserialize(json).map(Some),
            Some((step, rest)) => json.deserialize_any(Inside { step, rest: Descent(rest) }),
        }
    }
}

/// Takes one step into an object or an array; nothing is inside other values.
struct Inside<'p> {
    step: &'p Step,
    rest: Descent<'p>,
}

impl<'m> Visitor<'m> for Inside<'_> {
    type Value = Option<&'m RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'m>>(self, mut members: A) -> std::result::Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_step) = members.next_key_seed(IsName(&self.step.name))? {
            if is_step {
                found = members.next_value_seed(self.rest)?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'m>>(self, mut elements: A) -> std::result::Result<Self::Value, A::Error> {
        let mut found = None;
        for index in 0.. {
            if self.step.index == Some(index) {
                let Some(element) = elements.next_element_seed(self.rest)? else { break };
                found = element;
            } else if elements.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }
}

/// Whether a member has this name, with the escapes of either side resolved.
struct IsName<'p>(&'p str);

impl<'m> DeserializeSeed<'m> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'m>>(self, json: D) -> std::result::Result<bool, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E>(self, name: &str) -> std::result::Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[track_caller]
    fn check(message: &str, pointer: &str, expected: Option<&str>) {
        assert_eq!(at(message, &Pointer::parse(pointer).unwrap()).unwrap(), expected, "{message} {pointer}");
    }

    #[test]
    fn a_value_keeps_its_own_bytes() {
        let message = r#" {"body" : { "data": [ 1.50 ,{"k":"\u00e9" } ] , "n":1e2}} "#;
        check(message, "", Some(message.trim()));
        check(message, "/body/data", Some(r#"[ 1.50 ,{"k":"\u00e9" } ]"#));
        check(message, "/body/data/0", Some("1.50"));
        check(message, "/body/data/1/k", Some(r#""\u00e9""#));
        check(message, "/body/n", Some("1e2"));
        check(" null ", "", Some("null"));
    }

    #[test]
    fn nothing_is_where_the_pointer_leads_out_of_the_message() {
        let message = r#"{"a":[1,{"b":null}],"t":"text","y":true,"i":-1,"f":0.5,"":3}"#;
        for pointer in ["/b", "/a/2", "/a/-", "/a/01", "/a/+1", "/a/b", "/t/0", "/y/y", "/i/i", "/f/f", "/a/1/b/c"] {
            check(message, pointer, None);
        }
        check(message, "/a/1/b", Some("null"));
        check(message, "/", Some("3"));
    }

    #[test]
    fn names_are_compared_without_their_escapes() {
        check(r#"{"\u0061\/b":1}"#, "/a~1b", Some("1"));
        check(r#"{"m~n":1,"~1":2}"#, "/m~0n", Some("1"));
        check(r#"{"m~n":1,"~1":2}"#, "/~01", Some("2"));
        check(r#"{"\"":1}"#, "/\"", Some("1"));
        check(r#"{"1":{"0":2}}"#, "/1/0", Some("2"));
    }

    #[test]
    fn of_duplicate_members_the_last_counts() {
        check(r#"{"a":1,"a":2}"#, "/a", Some("2"));
        check(r#"{"a":{"b":1},"\u0061":{"c":2}}"#, "/a/b", None);
        check(r#"{"a":{"b":1},"a":3}"#, "/a/b", None);
    }

    #[test]
    fn what_is_not_json_is_an_error_that_does_not_repeat_it() {
        for message in [
            "",
            "hunter2",
            "{\"a\":1} hunter2",
            "{\"a\":1",
            "{\"a\":hunter2}",
            "{\"hunter2\":1,}",
            "[\"a\"",
            "\"hunter2",
        ] {
            for pointer in ["", "/a"] {
                let error = at(message, &Pointer::parse(pointer).unwrap()).unwrap_err().to_string();
                assert!(!error.contains("hunter2"), "{error}");
            }
        }
    }

    #[test]
    fn deep_messages_need_no_stack() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(1 << 20), "]".repeat(1 << 20));
        check(&deep, "/b", None);
        check(&deep, "/a", Some(&deep[5..deep.len() - 1]));
    }

    #[test]
    fn a_text_that_is_no_pointer_is_refused() {
        for text in ["a", "/a~", "/a~2"] {
            Pointer::parse(text).unwrap_err();
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(Value::Null), any::<i32>().prop_map(Value::from), "[a~/0é\"]{0,2}".prop_map(Value::from)];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a~/0é\"]{0,2}", inner), 0..4)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_same_is_found_as_in_a_tree(value in json(), pointer in "(/(a|~0|~1|é|\"|0|1|00){0,2}){0,3}") {
            let message = value.to_string();
            let found = at(&message, &Pointer::parse(&pointer).unwrap()).unwrap();
            let found = found.map(|raw| serde_json::from_str::<Value>(raw).unwrap());
            prop_assert_eq!(found.as_ref(), value.pointer(&pointer));
        }
    }
}
