//! `schema.additional_properties = "keep"`: the schema without what it says about unknown members of the event itself.
//!
//! That can stand at the top, in schemas that the top combines, and in a definition that it refers to. A definition may describe other
//! places of the event too, so the top gets a copy of its own.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::config::pointer::escape;

const RESTRICTIONS: [&str; 2] = ["additionalProperties", "unevaluatedProperties"];
/// Keywords whose schemas apply to the same value, and may be loosened without a change of what else they check.
const SAME_VALUE: [&str; 6] = ["allOf", "anyOf", "then", "else", "dependentSchemas", "dependencies"];
/// Keywords that make a second schema of the same name or address.
const NAMES: [&str; 5] = ["$id", "id", "$anchor", "$dynamicAnchor", "$recursiveAnchor"];

/// Removes the restrictions.
///
/// # Errors
/// The reason why a restriction cannot be removed.
pub(super) fn loosen(document: &mut Json) -> Result<(), String> {
    Loosening { document, copies: BTreeMap::new() }.loosen("")
}

struct Loosening<'a> {
    document: &'a mut Json,
    /// The loosened copy of each definition, by pointer.
    copies: BTreeMap<String, String>,
}

impl Loosening<'_> {
    fn loosen(&mut self, pointer: &str) -> Result<(), String> {
        let Some(Json::Object(schema)) = self.document.pointer_mut(pointer) else { return Ok(()) };
        for keyword in RESTRICTIONS {
            schema.remove(keyword);
        }
        let below = same_value(schema, pointer);
        let alternatives = children(schema, "oneOf", pointer);
        let reference = schema.get("$ref").and_then(Json::as_str).map(ToOwned::to_owned);
        let dynamic = ["$dynamicRef", "$recursiveRef"].into_iter().find(|keyword| schema.contains_key(*keyword));
        if let Some(keyword) = dynamic {
            return Err(format!("the target of {pointer}/{keyword} is known only with the event"));
        }
        for place in alternatives {
            if self.is_restricted(&place, &mut Vec::new())? {
                return Err(format!(
                    "without what {place} says about unknown members, more than one of oneOf may match"
                ));
            }
        }
        below.iter().try_for_each(|place| self.loosen(place))?;
        match reference {
            Some(reference) => self.loosen_target(pointer, &reference),
            None => Ok(()),
        }
    }

    /// Lets a `$ref` lead to a loosened copy of its target.
    fn loosen_target(&mut self, pointer: &str, reference: &str) -> Result<(), String> {
        let target = target(reference)?;
        if !self.is_restricted(&target, &mut Vec::new())? {
            return Ok(());
        }
        let copy = match self.copies.get(&target) {
            Some(copy) => copy.clone(),
            None => self.copy(&target)?,
        };
        if let Some(schema) = self.document.pointer_mut(pointer) {
            schema["$ref"] = format!("#{copy}").into();
        }
        Ok(())
    }

    fn copy(&mut self, target: &str) -> Result<String, String> {
        let schema = self.document.pointer(target).cloned().unwrap_or_default();
        if is_named(&schema) {
            return Err(format!("{target} has a name of its own, of which there can be no second one"));
        }
        let copy = format!("/$defs/cxsink-keep-{}", self.copies.len());
        self.copies.insert(target.to_owned(), copy.clone());
        self.document["$defs"][&copy["/$defs/".len()..]] = schema;
        self.loosen(&copy)?;
        Ok(copy)
    }

    /// Whether a schema restricts the members of the value that it describes.
    fn is_restricted(&self, pointer: &str, seen: &mut Vec<String>) -> Result<bool, String> {
        let Some(Json::Object(schema)) = self.document.pointer(pointer) else { return Ok(false) };
        if seen.iter().any(|known| known == pointer) {
            return Ok(false);
        }
        seen.push(pointer.to_owned());
        if RESTRICTIONS.iter().any(|keyword| schema.get(*keyword).is_some_and(|value| *value != Json::Bool(true))) {
            return Ok(true);
        }
        let mut below = same_value(schema, pointer);
        below.extend(children(schema, "oneOf", pointer));
        if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
            below.push(target(reference)?);
        }
        for place in below {
            if self.is_restricted(&place, seen)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The pointers of the schemas that apply to the same value, except those of `oneOf` and of a `$ref`.
fn same_value(schema: &Map<String, Json>, pointer: &str) -> Vec<String> {
    SAME_VALUE.iter().flat_map(|keyword| children(schema, keyword, pointer)).collect()
}

/// The pointers of the schemas in the value of a keyword.
fn children(schema: &Map<String, Json>, keyword: &str, pointer: &str) -> Vec<String> {
    let here = format!("{pointer}/{keyword}");
    match (keyword, schema.get(keyword)) {
        (_, Some(Json::Array(items))) => (0..items.len()).map(|index| format!("{here}/{index}")).collect(),
        ("dependentSchemas" | "dependencies", Some(Json::Object(members))) => {
            members.keys().map(|name| format!("{here}/{}", escape(name))).collect()
        }
        (_, Some(Json::Object(_))) => vec![here],
        _ => Vec::new(),
    }
}

/// The JSON pointer that a reference within the document consists of.
fn target(reference: &str) -> Result<String, String> {
    match reference.strip_prefix('#') {
        Some(pointer) if pointer.is_empty() || pointer.starts_with('/') => {
            Ok(percent_encoding::percent_decode_str(pointer).decode_utf8_lossy().into_owned())
        }
        _ => Err(format!("only references that begin with #/ can be followed, and one is {reference}")),
    }
}

/// Whether a schema or one below it has a name or an address of its own.
fn is_named(schema: &Json) -> bool {
    match schema {
        Json::Object(members) => {
            NAMES.iter().any(|name| members.get(*name).is_some_and(|value| !value.is_object()))
                || members.values().any(is_named)
        }
        Json::Array(items) => items.iter().any(is_named),
        _ => false,
    }
}
