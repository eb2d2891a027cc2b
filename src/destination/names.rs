//! Names of tables and columns in SQL: always quoted, so that any name works and none is code.

use crate::config::DestinationConfig;
use crate::error::{Error, Result};

/// The table with each spool's checkpoint, in the schema of the destination table.
pub(super) const CHECKPOINT: &str = "cxsink_checkpoint";

/// A table's name, with or without its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableName {
    pub(super) schema: Option<String>,
    pub(super) name: String,
}

impl TableName {
    /// The name of `destination.table`: `table` or `schema.table`, case-sensitive (`Events` is not `events`). A part in double quotes may hold anything, with quotes
    /// doubled as in SQL: `"my.schema"."my ""table"""`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        Self::parse_of("destination.table", text)
    }

    /// The name of `destination.history_table`.
    pub(super) fn of_history(config: &DestinationConfig) -> Result<Option<Self>> {
        config.history_table.as_deref().map(|text| Self::parse_of("destination.history_table", text)).transpose()
    }

    fn parse_of(key: &str, text: &str) -> Result<Self> {
        let bad = |reason: &str| {
            Error::config(format!("{key} is not a table's name: {reason}"))
                .with_hint("write table or schema.table, with double quotes around a part that holds a dot")
        };
        let mut parts = Vec::new();
        let mut rest = text;
        loop {
            let (part, tail) = match rest.strip_prefix('"') {
                Some(quoted) => unquote(quoted).ok_or_else(|| bad("a double quote is not closed"))?,
                None => match rest.find('.') {
                    Some(dot) => (rest[..dot].to_owned(), &rest[dot..]),
                    None => (rest.to_owned(), ""),
                },
            };
            if part.is_empty() {
                return Err(bad("a part is empty"));
            }
            if part.contains('\0') {
                return Err(bad("it holds a NUL character"));
            }
            parts.push(part);
            match tail.strip_prefix('.') {
                Some(tail) => rest = tail,
                None if tail.is_empty() => break,
                None => return Err(bad("only a dot may follow a closing quote")),
            }
        }
        let name = parts.pop().unwrap_or_default();
        let schema = parts.pop();
        if parts.is_empty() { Ok(Self { schema, name }) } else { Err(bad("it has more than two parts")) }
    }

    /// As SQL.
    pub(super) fn quoted(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quote(schema), quote(&self.name)),
            None => quote(&self.name),
        }
    }

    /// The checkpoint table in the same schema.
    pub(super) fn checkpoint(&self) -> Self {
        Self { schema: self.schema.clone(), name: CHECKPOINT.into() }
    }
}

/// The history must not be the table or the checkpoint table.
pub(super) fn not_another_table(history: &str) -> Error {
    Error::config(format!("destination.history_table: {history} is the table itself, or that of the checkpoints"))
        .with_hint("set it to a table of its own, such as cxone_events_history")
}

/// The part up to the closing quote, unescaped, and the rest after that quote.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = text;
    loop {
        let (head, tail) = rest.split_once('"')?;
        part.push_str(head);
        match tail.strip_prefix('"') {
            Some(tail) => {
                part.push('"');
                rest = tail;
            }
            None => return Some((part, tail)),
        }
    }
}

/// An identifier in double quotes (PostgreSQL manual, "Identifiers and Key Words").
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_and_quoted() {
        let cases = [
            ("cxone_events", r#""cxone_events""#),
            ("reporting.Events", r#""reporting"."Events""#),
            ("order", r#""order""#),
            ("two words", r#""two words""#),
            (r#""a.b"."c""d""#, r#""a.b"."c""d""#),
            (r#"it"s"#, r#""it""s""#),
            ("x; drop table y --", r#""x; drop table y --""#),
        ];
        for (text, expected) in cases {
            assert_eq!(TableName::parse(text).unwrap().quoted(), expected, "{text}");
        }
        for text in ["", ".", "a.", ".a", "a.b.c", "\"a", "\"a\"b", "\"\"", "a\0b"] {
            assert!(TableName::parse(text).is_err(), "{text:?}");
        }
    }
}
