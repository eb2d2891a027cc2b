//! Lists of columns.

use toml::de::DeValue;

use crate::config::columns::toml_text::{array, inline, is_plain, quoted};
use crate::config::units::shown;
use crate::error::{Error, Result};

/// PostgreSQL's limit on the columns of a table (PostgreSQL manual, appendix K).
const COLUMNS_MAX: usize = 1600;

pub(in crate::config) fn names_from_text(text: &str) -> Result<Vec<String>> {
    if text.trim_start().starts_with('[') {
        return names_from_toml(inline(text)?.get_ref());
    }
    Ok(text.split(',').map(|name| name.trim().into()).collect())
}

pub(in crate::config) fn names_from_toml(value: &DeValue<'_>) -> Result<Vec<String>> {
    let bad =
        || Error::config("expected a list of column names").with_hint(r#"write a list of texts, such as ["a", "b"]"#);
    value
        .as_array()
        .ok_or_else(bad)?
        .iter()
        .map(|name| name.get_ref().as_str().map(Into::into).ok_or_else(bad))
        .collect()
}

pub(in crate::config) fn check_names(names: &[impl AsRef<str>], at_least: usize) -> Result<()> {
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

pub(in crate::config) fn show_names(names: &[String]) -> String {
    let plain = names.iter().all(|name| is_plain(name));
    if plain && names.first().is_some_and(|name| !name.is_empty() && !name.starts_with('[')) {
        return names.join(", ");
    }
    array(names.iter().map(|name| quoted(name)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        fn shown_names_read_back(names in proptest::collection::vec("[a-z,\\[\" é\\\\]{1,6}", 0..5)) {
            prop_assert_eq!(names_from_text(&show_names(&names)).unwrap(), names);
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = names_from_text(&text).and_then(|names| check_names(&names, 0));
        }
    }
}
