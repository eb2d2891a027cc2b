//! Arrays, in PostgreSQL's text form (PostgreSQL manual, "Array Input and Output Syntax").

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::rows::convert::stored_text::{HAS_NUL, push_text, text_from};
use crate::rows::value::Value;
use crate::time::timestamp::{format_days, format_micros};

type Converted = std::result::Result<Value, &'static str>;

/// PostgreSQL's limit (`MAXDIM`).
const DIMENSIONS_MAX: usize = 6;

/// A JSON array, or the text of a whole array, which the database reads. `convert` converts an element.
pub(super) fn to_array(
    json: &Json,
    delimiter: char,
    convert: &dyn Fn(&Json, &mut String) -> Converted,
    text: &mut String,
) -> Converted {
    let items = match json {
        Json::Array(items) => items,
        Json::String(whole) if whole.contains('\0') => return Err(HAS_NUL),
        Json::String(whole) => return Ok(push_text(text, whole)),
        _ => return Err("is not an array"),
    };
    let start = text.len();
    let mut array = Array { delimiter, convert, lengths: Vec::new(), dimensions: None, text: &mut *text };
    array.push(items, 0)?;
    let is_empty = array.lengths.contains(&0);
    if is_empty {
        text.truncate(start);
        text.push_str("{}");
    }
    Ok(text_from(text, start))
}

struct Array<'a> {
    delimiter: char,
    convert: &'a dyn Fn(&Json, &mut String) -> Converted,
    /// Of each dimension.
    lengths: Vec<usize>,
    /// Known from the first element on. As in `jsonb_populate_record`, an array in an innermost one is an element.
    dimensions: Option<usize>,
    text: &'a mut String,
}

impl Array<'_> {
    fn push(&mut self, items: &[Json], level: usize) -> std::result::Result<(), &'static str> {
        match self.lengths.get(level) {
            None if level == DIMENSIONS_MAX => return Err("has more than 6 dimensions"),
            None => self.lengths.push(items.len()),
            Some(&length) if length != items.len() => return Err(NOT_A_CUBE),
            Some(_) => {}
        }
        if self.dimensions.is_none() && !items.first().is_some_and(Json::is_array) {
            self.dimensions = Some(level + 1);
        }
        self.text.push('{');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.text.push(self.delimiter);
            }
            match item {
                item if self.dimensions.is_some_and(|dimensions| level + 1 >= dimensions) => self.push_element(item)?,
                Json::Array(items) => self.push(items, level + 1)?,
                _ => return Err(NOT_A_CUBE),
            }
        }
        self.text.push('}');
        Ok(())
    }

    fn push_element(&mut self, item: &Json) -> std::result::Result<(), &'static str> {
        if item.is_null() {
            self.text.push_str("NULL");
            return Ok(());
        }
        let mut own = String::new();
        let value = (self.convert)(item, &mut own)?;
        let text = &mut *self.text;
        // Writing to a String cannot fail.
        let _ = match value {
            Value::Null => write!(text, "NULL"),
            Value::Bool(value) => write!(text, "{value}"),
            Value::Int(value) => write!(text, "{value}"),
            Value::Float(value) => write!(text, "{value:e}"),
            // A `timestamp` ignores the zone.
            Value::Micros(micros) => write!(text, "\"{}Z\"", format_micros(micros)),
            Value::Days(days) => write!(text, "{}", format_days(days)),
            Value::Text { .. } => {
                text.push('"');
                for c in own.chars() {
                    if matches!(c, '"' | '\\') {
                        text.push('\\');
                    }
                    text.push(c);
                }
                write!(text, "\"")
            }
        };
        Ok(())
    }
}

const NOT_A_CUBE: &str = "has inner arrays of different lengths";
