//! The layer of a TOML file. An error names the file and the line, and never quotes the line: it may contain a secret.

use toml::de::{DeTable, DeValue};

use crate::config::columns::in_order;
use crate::config::keys::{self, OwnKey, SECTIONS, STREAMS};
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
        if section == STREAMS {
            apply_streams(config, (place, value), &at)?;
            continue;
        }
        let table = section_table(section, value).map_err(|e| e.while_doing(at(place)))?;
        for (place, key, value) in in_order(table) {
            let name = format!("{section}.{key}");
            let applied = if section == "stream" && value.is_table() && keys::find(&name).is_err() {
                Err(Error::config(format!("[{name}] is no section"))
                    .with_hint(format!("write [{STREAMS}.{key}] for one of several streams")))
            } else {
                set(config, &name, value)
            };
            applied.map_err(|e| e.while_doing(at(place)))?;
        }
    }
    Ok(())
}

/// Applies `[streams]`, a table of tables.
fn apply_streams(
    config: &mut Config,
    (place, value): (usize, &DeValue<'_>),
    at: &dyn Fn(usize) -> String,
) -> Result<()> {
    let located = |place| move |error: Error| error.while_doing(at(place));
    let streams = value.as_table().ok_or_else(|| {
        located(place)(
            Error::config(format!("{STREAMS} is a table of streams"))
                .with_hint(format!("write [{STREAMS}.NAME], and the keys of this stream below it")),
        )
    })?;
    for (place, stream, value) in in_order(streams) {
        let table = value.as_table().ok_or_else(|| {
            located(place)(
                Error::config(format!("{STREAMS}.{stream} is a stream, not a key"))
                    .with_hint(format!("write [{STREAMS}.{stream}], and its keys below it")),
            )
        })?;
        config.streams.add(stream).map_err(located(place))?;
        for (place, name, value) in in_order(table) {
            let is_section = SECTIONS.iter().any(|(known, _)| *known == name) && !keys::is_section_alone(name);
            if !is_section {
                set_own(config, stream, name, value).map_err(located(place))?;
                continue;
            }
            let section = value.as_table().ok_or_else(|| {
                located(place)(
                    Error::config(format!("{STREAMS}.{stream}.{name} is a section, not a key"))
                        .with_hint(format!("write [{STREAMS}.{stream}.{name}], and its keys below it")),
                )
            })?;
            for (below, key, value) in in_order(section) {
                // A section that a stream cannot have is wrong itself.
                let name = format!("{name}.{key}");
                set_own(config, stream, &name, value).map_err(located(below))?;
            }
        }
    }
    Ok(())
}

fn set_own(config: &mut Config, stream: &str, name: &str, value: &DeValue<'_>) -> Result<()> {
    let key = keys::own_key(stream, name).map_err(|error| {
        let is_misspelt_section = value.is_table() && !name.contains('.');
        if is_misspelt_section { keys::unknown_own_section(stream, name) } else { error }
    })?;
    let own = OwnKey { stream, key };
    let value = own.key.own_value(own.key.value_type.read_toml(value));
    let value = value.map_err(|error| error.while_doing(own.full_name()))?;
    config.streams.put(stream, own.key.name, value)
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
