//! What the schema says of each column's source.

use crate::check::schema_fit::excess::excess;
use crate::rows::allows::Allows;
use crate::rows::schema::Schema;
use crate::rows::{ATTRIBUTES, ColumnSource, ColumnType, Plan, PlanColumn, Reading, pointer_of};

/// One sentence for each way in which an event that the schema allows may not fit: into the columns of the table, and into those of
/// the history that have a type of their own.
pub(in crate::check) fn mismatches(plan: &Plan, schema: &Schema) -> Vec<String> {
    plan.stored_columns().flat_map(|column| of_column(column, plan, schema)).collect()
}

fn of_column(column: &PlanColumn, plan: &Plan, schema: &Schema) -> Vec<String> {
    match &column.source {
        ColumnSource::Pointer(_) => of_event(column, Reading::default(), false, schema),
        ColumnSource::Event(value) => of_event(column, value.reading, value.default.is_some(), schema),
        ColumnSource::Rest => of_rest(column, plan, schema),
        // The plan has converted a constant for the column, and the sink makes the others.
        ColumnSource::Constant(_) | ColumnSource::ReceivedAt | ColumnSource::Offset | ColumnSource::Now => Vec::new(),
    }
}

/// The places of the event that a column is filled from, in their order: the first one with a value counts.
fn of_event(column: &PlanColumn, reading: Reading, has_default: bool, schema: &Schema) -> Vec<String> {
    let name = &column.name;
    let mut places = Vec::new();
    for tokens in column.source.pointers() {
        let allows = schema.allows(tokens);
        let is_always_there = matches!(&allows, Allows::Values(values) if values.is_required);
        places.push((shown(tokens), allows));
        if is_always_there {
            // The following ones are never read.
            break;
        }
    }
    let mut found: Vec<String> = missing(column, &places, has_default).into_iter().collect();
    for (place, allows) in &places {
        if let Allows::Values(values) = allows
            && let Some(excess) = excess(&column.column_type, reading, values)
        {
            found.push(format!("{place} {}, and column {name} takes {}", excess.allowed, excess.taken));
        }
    }
    found
}

/// Whether the column may stay without a value that it needs, or always does.
fn missing(column: &PlanColumn, places: &[(String, Allows)], has_default: bool) -> Option<String> {
    let name = &column.name;
    let all = places.iter().map(|(place, _)| place.as_str()).collect::<Vec<_>>().join(" and ");
    if places.iter().all(|(_, allows)| matches!(allows, Allows::Nothing)) {
        return Some(match (has_default, column.required) {
            (true, _) => format!("the schema allows no {all}: column {name} always has its default"),
            (false, true) => format!("the schema allows no {all}, and column {name} needs a value"),
            (false, false) => format!("the schema allows no {all}: column {name} is always null"),
        });
    }
    let may_be_missing = places.iter().all(|(_, allows)| match allows {
        Allows::Nothing => true,
        Allows::Values(values) => !values.is_required,
        Allows::Unknown => false,
    });
    (may_be_missing && column.required && !has_default)
        .then(|| format!("{all} may be missing or null, and column {name} needs a value"))
}

/// The members that no other column takes, whatever they are. None at all is null.
fn of_rest(column: &PlanColumn, plan: &Plan, schema: &Schema) -> Vec<String> {
    let name = &column.name;
    let is_taken = |member: &str| {
        let pointers = plan.row_columns().iter().flat_map(|column| column.source.pointers());
        // The members of `attributes` stand in its place, and it may have none.
        member == ATTRIBUTES || pointers.into_iter().any(|tokens| *tokens == [member])
    };
    let mut found = Vec::new();
    if column.required && schema.required_members().is_some_and(|members| members.into_iter().all(is_taken)) {
        found.push(format!("an event may have no other members, and column {name} needs a value"));
    }
    if let ColumnType::Text { chars_max: Some(most) } = column.column_type {
        found.push(format!("the other members may have any length, and column {name} takes {most} characters"));
    }
    found
}

fn shown(tokens: &[String]) -> String {
    if tokens.is_empty() { "the event".into() } else { pointer_of(tokens) }
}
