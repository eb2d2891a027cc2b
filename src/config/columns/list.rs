//! Columns and their sources.

use toml::de::DeValue;

use crate::config::columns::mapping_source::MappingSource;
use crate::config::columns::names::check_names;
use crate::config::columns::source_toml as source;
use crate::config::columns::toml_text::{in_order, inline, is_plain, pairs, quoted};
use crate::config::units::shown;
use crate::error::{Error, Result};

/// Column and source, in the order of the columns.
pub(in crate::config) type Columns = Vec<(String, MappingSource)>;

pub(in crate::config) fn columns_from_text(text: &str) -> Result<Columns> {
    if text.trim_start().starts_with('{') {
        return columns_from_toml(inline(text)?.get_ref());
    }
    let pairs = pairs(text).map_err(|part| {
        Error::config(format!("{} is not of the form column=source", shown(part)))
            .with_hint("write column=source pairs, such as interaction_id=/interactionId, updated_at=now")
    })?;
    Ok(pairs.into_iter().map(|(column, source)| (column, source.into())).collect())
}

pub(in crate::config) fn columns_from_toml(value: &DeValue<'_>) -> Result<Columns> {
    let table = value.as_table().ok_or_else(|| {
        Error::config(format!("expected a table of columns, found TOML type {}", value.type_str()))
            .with_hint("write [mapping.columns], and below it lines such as interaction_id = \"/interactionId\"")
    })?;
    let column = |(_, column, source): (usize, &str, &DeValue<'_>)| match source::from_toml(source) {
        Ok(source) => Ok((column.into(), source)),
        Err(error) => Err(of_column(&error, column)),
    };
    in_order(table).into_iter().map(column).collect()
}

pub(in crate::config) fn check_columns(columns: &Columns) -> Result<()> {
    let names: Vec<&String> = columns.iter().map(|(column, _)| column).collect();
    check_names(&names, 1)?;
    columns.iter().try_for_each(|(column, source)| source::check(source).map_err(|error| of_column(&error, column)))
}

fn of_column(error: &Error, column: &str) -> Error {
    let of_column = Error::config(format!("the source of column {} {}", shown(column), error.message()));
    of_column.with_hint(error.hint().unwrap_or(source::HINT))
}

pub(in crate::config) fn show_columns(columns: &Columns) -> String {
    let plain = |(column, source): &(String, MappingSource)| {
        let source = source.as_text().filter(|source| is_plain(source) && is_plain(column) && !column.contains('='))?;
        Some(format!("{column}={source}"))
    };
    if columns.first().is_some_and(|(column, _)| !column.starts_with('{'))
        && let Some(pairs) = columns.iter().map(plain).collect::<Option<Vec<_>>>()
    {
        return pairs.join(", ");
    }
    let pairs: Vec<_> =
        columns.iter().map(|(column, source)| format!("{} = {}", quoted(column), source::show(source))).collect();
    format!("{{{}}}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::config::columns::mapping_source::{FromEvent, ValueFormat};

    fn columns(columns: &[(&str, MappingSource)]) -> Columns {
        columns.iter().map(|(column, source)| ((*column).into(), source.clone())).collect()
    }

    #[track_caller]
    fn check(text: &str, expected: &[(&str, MappingSource)]) {
        let found = columns_from_text(text).unwrap();
        assert_eq!(found, columns(expected), "{text}");
        check_columns(&found).unwrap();
        assert_eq!(columns_from_text(&show_columns(&found)).unwrap(), found, "{}", show_columns(&found));
    }

    #[test]
    fn columns_are_read_from_text() {
        check(
            "interaction_id=/interactionId, updated_at=now",
            &[("interaction_id", "/interactionId".into()), ("updated_at", MappingSource::Now)],
        );
        check(
            " b = /x=y ,a=rest,raw=",
            &[("b", "/x=y".into()), ("a", MappingSource::Rest), ("raw", FromEvent::at("").into())],
        );
        check(r#"{"b,c" = "/x,y", a = "now"}"#, &[("b,c", "/x,y".into()), ("a", MappingSource::Now)]);
        check(
            "a=stream,b=received_at,c=offset",
            &[("a", MappingSource::Stream), ("b", MappingSource::ReceivedAt), ("c", MappingSource::Offset)],
        );
    }

    #[test]
    fn a_source_may_be_a_list_or_a_table() {
        let constant = |value: Json| MappingSource::Constant(value);
        check(
            r#"{a = ["/x", "/y"], b = { pointer = "/z", default = 7, trim = true, max_length = "truncate" }}"#,
            &[
                ("a", FromEvent::at("/x").or("/y").into()),
                ("b", FromEvent::at("/z").or_default(7).trimmed().truncated().into()),
            ],
        );
        check(
            r#"{a = { pointer = ["/x", "/y"], format = "epoch_ms", trim = false, max_length = "reject" }}"#,
            &[("a", FromEvent::at("/x").or("/y").in_format(ValueFormat::EpochMs).into())],
        );
        check(
            r#"{a = { constant = "x,=\"\n" }, b = { constant = [1, 2.5, true, { "c d" = -1e22 }] }, c = { constant = 2026-11-27T01:02:03Z }}"#,
            &[
                ("a", constant(json!("x,=\"\n"))),
                ("b", constant(json!([1, 2.5, true, {"c d": -1e22}]))),
                ("c", constant(json!("2026-11-27T01:02:03Z"))),
            ],
        );
        check(
            "{a = { constant = 0xff }, b = { constant = 18446744073709551615 }}",
            &[("a", constant(json!(255))), ("b", constant(json!(u64::MAX)))],
        );
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
        check("a=x", "of column \"a\" is \"x\", which is not a JSON pointer");
        check("a=/x~2", "~0 or ~1");
        check("a=/x~", "~0 or ~1");
        check("a=Now", "not a JSON pointer");
        check("{}", "at least one column");
        check("{a = 1}", "of column \"a\" is TOML type integer");
        check("{a = ", "not an inline TOML value");
        check("{a = []}", "has no pointer");
        check("{a = [1]}", "has a pointer that is not text");
        check("{a = [\"/x\", \"now\"]}", "\"now\", which is not a JSON pointer");
        check("{a = {}}", "has neither `pointer` nor `constant`");
        check("{a = { pointer = \"rest\" }}", "\"rest\", which is not a JSON pointer");
        check("{a = { pointers = \"/x\" }}", "has the unknown member \"pointers\"");
        check("{a = { pointer = \"/x\", constant = 1 }}", "`constant` and `pointer`");
        check("{a = { constant = 1, default = 2 }}", "`constant` and `default`");
        check("{a = { default = 2 }}", "has neither `pointer` nor `constant`");
        check("{a = { pointer = \"/x\", trim = 1 }}", "`trim` is neither true nor false");
        check("{a = { pointer = \"/x\", format = \"epoch\" }}", "`format` is none of epoch_s, epoch_ms");
        check("{a = { pointer = \"/x\", max_length = 5 }}", "`max_length` is none of truncate, reject");
        check("{a = { constant = inf }}", "has a number that JSON does not have");
        let nulls = [MappingSource::Constant(json!({"a": [null]})), FromEvent::at("/x").or_default(Json::Null).into()];
        for source in nulls {
            let error = check_columns(&columns(&[("a", source)])).unwrap_err();
            assert!(error.message().contains("has null"), "{error:?}");
        }
    }

    proptest! {
        #[test]
        fn shown_columns_read_back(pairs in proptest::collection::vec(("[a-z,=\\{\" é\\\\]{1,6}", "/[a-z,=\"\\}\u{1} \\\\]{0,6}"), 1..5)) {
            let columns: Columns = pairs.into_iter().map(|(column, source)| (column, source.into())).collect();
            prop_assert_eq!(columns_from_text(&show_columns(&columns)).map_err(|e| e.to_string()), dedup(columns));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = columns_from_text(&text).and_then(|columns| check_columns(&columns));
            let _ = columns_from_text(&format!("{{a = {text}}}")).and_then(|columns| check_columns(&columns));
        }
    }

    /// TOML cannot represent a name that occurs twice; the text form refuses it later.
    fn dedup(columns: Columns) -> std::result::Result<Columns, String> {
        let mut seen = std::collections::HashSet::new();
        let twice = columns.iter().any(|(column, _)| !seen.insert(column.clone()));
        if twice { columns_from_text(&show_columns(&columns)).map_err(|e| e.to_string()) } else { Ok(columns) }
    }
}
