//! `mapping.columns` and lists of columns: from TOML, from one line of text, and back to text.
//!
//! The text form is `a=/x, b=now` and `a, b`. A name with a separator in it is written as an inline TOML table or array,
//! `{"a,b" = "/x"}` and `["a,b"]`. The text form accepts these too, so every value that is shown can be read back.

use toml::de::{DeTable, DeValue};

use crate::config::pointer;
use crate::config::units::shown;
use crate::error::{Error, Result};

/// Column and source, in the order of the columns.
pub(super) type Columns = Vec<(String, String)>;

/// PostgreSQL's limit on the columns of a table (PostgreSQL manual, appendix K).
const COLUMNS_MAX: usize = 1600;

pub(super) fn columns_from_text(text: &str) -> Result<Columns> {
    if text.trim_start().starts_with('{') {
        return columns_from_toml(inline(text)?.get_ref());
    }
    text.split(',')
        .map(|part| match part.split_once('=') {
            Some((column, source)) => Ok((column.trim().into(), source.trim().into())),
            None => Err(Error::config(format!("{} is not of the form column=source", shown(part.trim())))
                .with_hint("write column=source pairs, such as interaction_id=/interactionId, updated_at=now")),
        })
        .collect()
}

pub(super) fn columns_from_toml(value: &DeValue<'_>) -> Result<Columns> {
    let table = value.as_table().ok_or_else(|| {
        Error::config(format!("expected a table of columns, found TOML type {}", value.type_str()))
            .with_hint("write [mapping.columns], and below it lines such as interaction_id = \"/interactionId\"")
    })?;
    in_order(table)
        .into_iter()
        .map(|(_, column, source)| match source.as_str() {
            Some(source) => Ok((column.into(), source.into())),
            None => Err(Error::config(format!("the source of column {} is not text", shown(column)))),
        })
        .collect()
}

/// The entries of a table with their positions, in the order of the file: the parser sorts them by name.
pub(super) fn in_order<'t>(table: &'t DeTable<'_>) -> Vec<(usize, &'t str, &'t DeValue<'t>)> {
    let mut entries: Vec<(usize, &str, &DeValue<'_>)> =
        table.iter().map(|(name, value)| (name.span().start, name.get_ref().as_ref(), value.get_ref())).collect();
    entries.sort_by_key(|(place, ..)| *place);
    entries
}

pub(super) fn names_from_text(text: &str) -> Result<Vec<String>> {
    if text.trim_start().starts_with('[') {
        return names_from_toml(inline(text)?.get_ref());
    }
    Ok(text.split(',').map(|name| name.trim().into()).collect())
}

pub(super) fn names_from_toml(value: &DeValue<'_>) -> Result<Vec<String>> {
    let bad =
        || Error::config("expected a list of column names").with_hint(r#"write a list of texts, such as ["a", "b"]"#);
    value
        .as_array()
        .ok_or_else(bad)?
        .iter()
        .map(|name| name.get_ref().as_str().map(Into::into).ok_or_else(bad))
        .collect()
}

pub(super) fn inline(text: &str) -> Result<toml::Spanned<DeValue<'_>>> {
    DeValue::parse(text).map_err(|e| Error::config(format!("not an inline TOML value: {}", e.message())))
}

pub(super) fn check_columns(columns: &Columns) -> Result<()> {
    let names: Vec<&String> = columns.iter().map(|(column, _)| column).collect();
    check_names(&names, 1)?;
    columns.iter().try_for_each(|(column, source)| {
        check_source(source).map_err(|reason| {
            Error::config(format!("the source {} of column {} {reason}", shown(source), shown(column))).with_hint(
                "write a JSON pointer such as /interactionId or /attributes/queueName, or one of the words rest and now",
            )
        })
    })
}

fn check_source(source: &str) -> std::result::Result<(), &'static str> {
    if source == "rest" || source == "now" {
        return Ok(());
    }
    pointer::problem(source).map_or(Ok(()), Err)
}

pub(super) fn check_names(names: &[impl AsRef<str>], at_least: usize) -> Result<()> {
    if names.len() < at_least {
        return Err(Error::config("at least one column is required"));
    }
    if names.len() > COLUMNS_MAX {
        return Err(Error::config(format!(
            "{} columns are too many; a PostgreSQL table has at most {COLUMNS_MAX}",
            names.len()
        )));
    }
    let mut seen = std::collections::HashSet::new();
    for name in names.iter().map(AsRef::as_ref) {
        if name.is_empty() || name.contains(char::is_control) {
            return Err(Error::config(format!("{} is not a column name", shown(name))));
        }
        if !seen.insert(name) {
            return Err(Error::config(format!("the column {} is listed twice", shown(name))));
        }
    }
    Ok(())
}

pub(super) fn show_columns(columns: &Columns) -> String {
    let plain = columns.iter().all(|(column, source)| is_plain(column) && !column.contains('=') && is_plain(source));
    if plain && columns.first().is_some_and(|(column, _)| !column.starts_with('{')) {
        let pairs: Vec<_> = columns.iter().map(|(column, source)| format!("{column}={source}")).collect();
        return pairs.join(", ");
    }
    let pairs: Vec<_> =
        columns.iter().map(|(column, source)| format!("{} = {}", quoted(column), quoted(source))).collect();
    format!("{{{}}}", pairs.join(", "))
}

pub(super) fn show_names(names: &[String]) -> String {
    let plain = names.iter().all(|name| is_plain(name));
    if plain && names.first().is_some_and(|name| !name.is_empty() && !name.starts_with('[')) {
        return names.join(", ");
    }
    let names: Vec<_> = names.iter().map(|name| quoted(name)).collect();
    format!("[{}]", names.join(", "))
}

/// Whether the text form can represent it.
fn is_plain(text: &str) -> bool {
    text.trim() == text && !text.contains(',')
}

/// As a TOML basic string.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            // All control characters are below U+00A0.
            c if c.is_control() => quoted.extend(format!("\\u{:04X}", u32::from(c)).chars()),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(columns: &[(&str, &str)]) -> Columns {
        columns.iter().map(|(column, source)| ((*column).into(), (*source).into())).collect()
    }

    #[test]
    fn columns_are_read_from_text() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let columns = columns_from_text(text).unwrap();
            assert_eq!(columns, pairs(expected), "{text}");
            check_columns(&columns).unwrap();
        };
        check(
            "interaction_id=/interactionId, updated_at=now",
            &[("interaction_id", "/interactionId"), ("updated_at", "now")],
        );
        check(" b = /x=y ,a=rest,raw=", &[("b", "/x=y"), ("a", "rest"), ("raw", "")]);
        check(r#"{"b,c" = "/x,y", a = "now"}"#, &[("b,c", "/x,y"), ("a", "now")]);
    }

    #[test]
    fn invalid_columns_are_refused() {
        let check = |text: &str, reason: &str| {
            let error = columns_from_text(text).and_then(|columns| check_columns(&columns)).unwrap_err();
            assert!(error.message().contains(reason), "{text}: {error:?}");
        };
        check("a", "column=source");
        check("a=/x,", "column=source");
        check("=/x", "not a column name");
        check("a=/x, a=/y", "twice");
        check("a=x", "not a JSON pointer");
        check("a=/x~2", "~0 or ~1");
        check("a=/x~", "~0 or ~1");
        check("a=Now", "not a JSON pointer");
        check("{}", "at least one column");
        check("{a = 1}", "not text");
        check("{a = ", "not an inline TOML value");
    }

    #[test]
    fn names_are_read_from_text() {
        assert_eq!(names_from_text(" a,b ").unwrap(), ["a", "b"]);
        assert_eq!(names_from_text(r#"["a,b", "c"]"#).unwrap(), ["a,b", "c"]);
        assert_eq!(names_from_text("[]").unwrap(), <[&str; 0]>::default());
        assert!(names_from_text("[1]").is_err());
        assert!(check_names(&["a", ""], 0).is_err());
        assert!(check_names(&["a", "a"], 0).is_err());
    }

    proptest! {
        #[test]
        fn shown_columns_read_back(columns in proptest::collection::vec(("[a-z,=\\{\" é\\\\]{1,6}", "/[a-z,=\"\\}\u{1} \\\\]{0,6}"), 1..5)) {
            prop_assert_eq!(columns_from_text(&show_columns(&columns)).map_err(|e| e.to_string()), dedup(columns));
        }

        #[test]
        fn shown_names_read_back(names in proptest::collection::vec("[a-z,\\[\" é\\\\]{1,6}", 0..5)) {
            prop_assert_eq!(names_from_text(&show_names(&names)).unwrap(), names);
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = columns_from_text(&text).and_then(|columns| check_columns(&columns));
            let _ = names_from_text(&text).and_then(|names| check_names(&names, 0));
        }
    }

    /// TOML cannot represent a name that occurs twice; the text form refuses it later.
    fn dedup(columns: Columns) -> std::result::Result<Columns, String> {
        let mut seen = std::collections::HashSet::new();
        let twice = columns.iter().any(|(column, _)| !seen.insert(column.clone()));
        if twice { columns_from_text(&show_columns(&columns)).map_err(|e| e.to_string()) } else { Ok(columns) }
    }
}
