//! The source of one column: a pointer or a word, a list of pointers, or a table.

use serde_json::{Map, Number, Value as Json};
use toml::de::{DeTable, DeValue};

use crate::config::columns::mapping_source::{FromEvent, MappingSource, ValueFormat};
use crate::config::columns::toml_text::{array, in_order, quoted};
use crate::config::pointer;
use crate::config::units::shown;
use crate::error::{Error, Result};

pub(super) const HINT: &str = "write a JSON pointer such as /interactionId or /attributes/queueName, a list of them, one of the words rest, \
     now, stream, received_at and offset, or a table such as { pointer = \"/queue\", default = \"none\" }";

const MEMBERS: [&str; 6] = ["pointer", "default", "format", "trim", "max_length", "constant"];
const TRUNCATE: &str = "truncate";
const REJECT: &str = "reject";

/// The errors continue the sentence "the source of column …".
pub(super) fn from_toml(toml: &DeValue<'_>) -> Result<MappingSource> {
    match toml {
        DeValue::String(text) => Ok(text.as_ref().into()),
        DeValue::Array(_) => Ok(from_event(pointers(toml)?).into()),
        DeValue::Table(table) => from_table(table),
        other => Err(Error::config(format!("is TOML type {}", other.type_str()))),
    }
}

fn from_event(pointers: Vec<String>) -> FromEvent {
    FromEvent { pointers, ..FromEvent::at("") }
}

fn pointers(toml: &DeValue<'_>) -> Result<Vec<String>> {
    let text = |toml: &DeValue<'_>| {
        toml.as_str().map(Into::into).ok_or_else(|| Error::config("has a pointer that is not text"))
    };
    match toml {
        DeValue::Array(pointers) => pointers.iter().map(|pointer| text(pointer.get_ref())).collect(),
        pointer => Ok(vec![text(pointer)?]),
    }
}

fn from_table(table: &DeTable<'_>) -> Result<MappingSource> {
    let mut source = from_event(Vec::new());
    let mut constant = None;
    let entries = in_order(table);
    for (_, member, value) in &entries {
        match *member {
            "pointer" => source.pointers = pointers(value)?,
            "default" => source.default = Some(to_json(value)?),
            "format" => source.format = Some(format(value)?),
            "trim" => source.trim = trim(value)?,
            "max_length" => source.truncate = truncate(value)?,
            "constant" => constant = Some(to_json(value)?),
            _ => return Err(unknown(member)),
        }
    }
    let other = entries.iter().map(|(_, member, _)| *member).find(|member| *member != "constant");
    match (constant, other) {
        (Some(_), Some(other)) => Err(Error::config(format!("has `constant` and `{other}`"))
            .with_hint(format!("remove one of them: a constant needs no `{other}`"))),
        (Some(constant), None) => Ok(MappingSource::Constant(constant)),
        (None, _) if !entries.iter().any(|(_, member, _)| *member == "pointer") => {
            Err(Error::config("has neither `pointer` nor `constant`"))
        }
        (None, _) => Ok(source.into()),
    }
}

fn unknown(member: &str) -> Error {
    Error::config(format!("has the unknown member {}", shown(member)))
        .with_hint(format!("use the members {}", MEMBERS.join(", ")))
}

fn format(toml: &DeValue<'_>) -> Result<ValueFormat> {
    let format = ValueFormat::ALL.into_iter().find(|format| toml.as_str() == Some(format.as_str()));
    format.ok_or_else(|| one_of("format", &ValueFormat::ALL.map(ValueFormat::as_str)))
}

fn trim(toml: &DeValue<'_>) -> Result<bool> {
    toml.as_bool().ok_or_else(|| Error::config("is wrong: its `trim` is neither true nor false"))
}

fn truncate(toml: &DeValue<'_>) -> Result<bool> {
    match toml.as_str() {
        Some(TRUNCATE) => Ok(true),
        Some(REJECT) => Ok(false),
        _ => Err(one_of("max_length", &[TRUNCATE, REJECT])),
    }
}

fn one_of(member: &str, words: &[&str]) -> Error {
    Error::config(format!("is wrong: its `{member}` is none of {}", words.join(", ")))
}

fn to_json(toml: &DeValue<'_>) -> Result<Json> {
    Ok(match toml {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(value) => (*value).into(),
        DeValue::Integer(number) => {
            let (digits, radix) = (number.as_str(), number.radix());
            let signed = i64::from_str_radix(digits, radix).map(Json::from);
            signed.or_else(|_| u64::from_str_radix(digits, radix).map(Json::from)).map_err(|_| no_number())?
        }
        DeValue::Float(number) => {
            number.as_str().parse().ok().and_then(Number::from_f64).map(Json::Number).ok_or_else(no_number)?
        }
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(items) => items.iter().map(|item| to_json(item.get_ref())).collect::<Result<_>>()?,
        DeValue::Table(table) => {
            let members = in_order(table).into_iter().map(|(_, name, value)| Ok((name.to_owned(), to_json(value)?)));
            Json::Object(members.collect::<Result<Map<_, _>>>()?)
        }
    })
}

fn no_number() -> Error {
    Error::config("has a number that JSON does not have, or beyond 64 bits")
        .with_hint("write the number as a text, in quotes")
}

/// Checks the source by itself. The table decides whether it fits the column.
pub(super) fn check(source: &MappingSource) -> Result<()> {
    match source {
        MappingSource::Constant(constant) if has_null(constant) => Err(null("constant")),
        MappingSource::Event(FromEvent { default: Some(default), .. }) if has_null(default) => Err(null("default")),
        MappingSource::Event(FromEvent { pointers, .. }) if pointers.is_empty() => Err(Error::config("has no pointer")),
        MappingSource::Event(FromEvent { pointers, .. }) => pointers.iter().try_for_each(|pointer| {
            pointer::problem(pointer)
                .map_or(Ok(()), |problem| Err(Error::config(format!("is {}, which {problem}", shown(pointer)))))
        }),
        _ => Ok(()),
    }
}

fn null(member: &str) -> Error {
    Error::config(format!("has null in its `{member}`"))
        .with_hint("remove it: a column without a value is NULL, and TOML has no null")
}

fn has_null(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::Array(items) => items.iter().any(has_null),
        Json::Object(members) => members.values().any(has_null),
        _ => false,
    }
}

/// As inline TOML.
pub(super) fn show(source: &MappingSource) -> String {
    match (source, source.as_text()) {
        (_, Some(text)) => quoted(text),
        (MappingSource::Constant(constant), _) => format!("{{ constant = {} }}", show_json(constant)),
        (MappingSource::Event(from_event), _) => show_from_event(from_event),
        _ => String::new(),
    }
}

fn show_from_event(source: &FromEvent) -> String {
    let pointers = match &source.pointers[..] {
        [pointer] => quoted(pointer),
        pointers => array(pointers.iter().map(|pointer| quoted(pointer))),
    };
    if *source == from_event(source.pointers.clone()) {
        return pointers;
    }
    let mut members = vec![format!("pointer = {pointers}")];
    members.extend(source.default.iter().map(|default| format!("default = {}", show_json(default))));
    members.extend(source.format.iter().map(|format| format!("format = \"{}\"", format.as_str())));
    members.extend(source.trim.then(|| "trim = true".into()));
    members.extend(source.truncate.then(|| format!("max_length = \"{TRUNCATE}\"")));
    format!("{{ {} }}", members.join(", "))
}

fn show_json(json: &Json) -> String {
    match json {
        Json::String(text) => quoted(text),
        Json::Array(items) => array(items.iter().map(show_json)),
        Json::Object(members) => {
            let members: Vec<_> =
                members.iter().map(|(name, value)| format!("{} = {}", quoted(name), show_json(value))).collect();
            format!("{{ {} }}", members.join(", "))
        }
        // A number, true or false.
        other => other.to_string(),
    }
}
