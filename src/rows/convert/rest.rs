//! The members of an event that no column stores.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::rows::column_type::ColumnType;
use crate::rows::columns::PlanColumn;
use crate::rows::convert::json::JsonText;
use crate::rows::event::Numbers;
use crate::rows::plan::Plan;
use crate::rows::value::Value;

/// The member of an event whose members stand beside those of the event itself.
pub(crate) const ATTRIBUTES: &str = "attributes";

/// The value of a column whose source is `rest`.
pub(super) fn rest(
    event: &Json,
    numbers: &Numbers<'_>,
    plan: &Plan,
    column_type: &ColumnType,
    text: &mut String,
) -> std::result::Result<Value, &'static str> {
    let rest = members(event, plan.row_columns());
    if rest.is_empty() {
        return Ok(Value::Null);
    }
    let mut out = JsonText::new(numbers, text);
    out.push_object(rest.iter().map(|(name, value)| (&**name, *value)));
    out.finish(column_type)
}

/// The members of the event and of its `attributes` that no pointer selects, side by side.
fn members<'e>(event: &'e Json, columns: &[PlanColumn]) -> BTreeMap<Cow<'e, str>, &'e Json> {
    let is_taken = |path: &[&str]| {
        columns.iter().flat_map(|column| column.source.pointers()).any(|tokens| !tokens.is_empty() && tokens == path)
    };
    let mut rest = BTreeMap::new();
    let Some(members) = event.as_object() else { return rest };
    if let Some(Json::Object(attributes)) = members.get(ATTRIBUTES).filter(|_| !is_taken(&[ATTRIBUTES])) {
        let left = attributes.iter().filter(|(name, _)| !is_taken(&[ATTRIBUTES, name]));
        rest.extend(left.map(|(name, value)| (Cow::Borrowed(name.as_str()), value)));
    }
    for (name, value) in members {
        if is_taken(&[name]) || (name == ATTRIBUTES && value.is_object()) {
            continue;
        }
        // A name that attributes also has is stored under its pointer, so that neither hides the other.
        let has_namesake = rest.contains_key(name.as_str());
        rest.insert(if has_namesake { Cow::Owned(format!("/{name}")) } else { Cow::Borrowed(name) }, value);
    }
    rest
}
