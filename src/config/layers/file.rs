//! The layer of a TOML file. An error names the file and the line, and never quotes the line: it may contain a secret.

use toml::de::{DeTable, DeValue};

use crate::config::columns::in_order;
use crate::config::keys::{self, SECTIONS};
use crate::config::sections::Config;
use crate::error::{Error, Result};

/// Applies the file's values; errors call the file `name`.
pub(super) fn apply(config: &mut Config, name: &str, text: &str) -> Result<()> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let at = |place: usize| {
        let before = text.get(..place).unwrap_or(text);
        format!("{name}:{}", 1 + before.matches('\n').count())
    };
    let document = DeTable::parse(text).map_err(|e| {
        // The parser's own Display would show the line.
        let place = e.span().map_or(text.len(), |span| span.start);
        Error::config(format!("{}: not valid TOML: {}", at(place), e.message()))
    })?;
    for (place, section, value) in in_order(document.get_ref()) {
        // An array of tables is a key by itself.
        if keys::is_section_alone(section) {
            set(config, section, value).map_err(|e| e.while_doing(at(place)))?;
            continue;
        }
        let table = section_table(section, value).map_err(|e| e.while_doing(at(place)))?;
        for (place, key, value) in in_order(table) {
            set(config, &format!("{section}.{key}"), value).map_err(|e| e.while_doing(at(place)))?;
        }
    }
    Ok(())
}

fn section_table<'t>(section: &str, value: &'t DeValue<'t>) -> Result<&'t DeTable<'t>> {
    let is_known = SECTIONS.iter().any(|(known, _)| *known == section);
    match (is_known, value.as_table()) {
        (true, Some(table)) => Ok(table),
        (true, None) => Err(Error::config(format!("{section} is a section, not a key"))
            .with_hint(format!("write [{section}], and its keys below it"))),
        (false, Some(_)) => Err(keys::unknown_section(section)),
        (false, None) => match keys::find(section) {
            Ok(_) => Err(keys::unknown_section(section)),
            Err(e) => Err(e.with_hint("put the key below the name of its section, such as [oauth]")),
        },
    }
}

fn set(config: &mut Config, name: &str, value: &DeValue<'_>) -> Result<()> {
    keys::find(name)?.set_toml(config, value)
}
