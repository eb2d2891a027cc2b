//! The text of a JSON value: compact, with numbers as they are written.

use serde_json::{Number, Value as Json};

use crate::rows::column_type::ColumnType;
use crate::rows::convert::decimal::Decimal;
use crate::rows::convert::stored_text::{HAS_NUL, fit_chars, text_from};
use crate::rows::event::Numbers;
use crate::rows::value::Value;

/// A text that is being written at the end of the rows' text, and what about it a column may refuse.
pub(super) struct JsonText<'t, 'e> {
    numbers: &'t Numbers<'e>,
    text: &'t mut String,
    start: usize,
    has_nul: bool,
    /// Whether it has a number that is too large or too fine for `numeric`, as which `jsonb` stores each number.
    has_immense_number: bool,
}

impl<'t, 'e> JsonText<'t, 'e> {
    pub(super) fn new(numbers: &'t Numbers<'e>, text: &'t mut String) -> Self {
        let start = text.len();
        Self { numbers, text, start, has_nul: false, has_immense_number: false }
    }

    pub(super) fn push(&mut self, json: &Json) {
        match json {
            Json::Null => self.text.push_str("null"),
            Json::Bool(true) => self.text.push_str("true"),
            Json::Bool(false) => self.text.push_str("false"),
            Json::Number(number) => self.push_number(number),
            Json::String(value) => self.push_string(value),
            Json::Array(items) => {
                self.text.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.text.push(',');
                    }
                    self.push(item);
                }
                self.text.push(']');
            }
            Json::Object(members) => self.push_object(members.iter().map(|(name, value)| (name.as_str(), value))),
        }
    }

    pub(super) fn push_object<'m>(&mut self, members: impl Iterator<Item = (&'m str, &'m Json)>) {
        self.text.push('{');
        for (index, (name, value)) in members.enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            self.push_string(name);
            self.text.push(':');
            self.push(value);
        }
        self.text.push('}');
    }

    fn push_number(&mut self, number: &Number) {
        let written = self.numbers.written(number);
        // 64 bits always fit.
        let may_be_immense = !(number.is_i64() || number.is_u64());
        self.has_immense_number |= may_be_immense && !Decimal::parse(&written).is_some_and(|it| it.fits(None));
        self.text.push_str(&written);
    }

    fn push_string(&mut self, value: &str) {
        if value.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
            self.text.push('"');
            self.text.push_str(value);
            self.text.push('"');
        } else {
            self.has_nul |= value.contains('\0');
            self.text.push_str(&Json::from(value).to_string());
        }
    }

    /// The value for a column of this type.
    pub(super) fn finish(self, column_type: &ColumnType) -> std::result::Result<Value, &'static str> {
        match column_type {
            ColumnType::Jsonb if self.has_nul => Err(HAS_NUL),
            ColumnType::Jsonb if self.has_immense_number => {
                Err("contains a number with more digits than PostgreSQL stores")
            }
            ColumnType::Text { chars_max } => {
                let end = self.start + fit_chars(&self.text[self.start..], *chars_max)?.len();
                self.text.truncate(end);
                Ok(text_from(self.text, self.start))
            }
            _ => Ok(text_from(self.text, self.start)),
        }
    }
}
