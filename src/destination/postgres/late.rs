//! Which late events would leave the table as it is.

use std::time::Duration;

use postgres::types::{ToSql, Type};

use super::catalogue::Relation;
use super::connection::Session;
use super::encode::arrays;
use super::statement::{array_name, array_type, cast};
use crate::destination::names::quote;
use crate::error::Result;
use crate::rows::Plan;
use crate::rows::batch::Rows;
use crate::rows::coalesce::Coalesced;

/// Returns the number of each such row, from 1 on. The parameters are an array for each column of the rows.
pub(super) fn sql(plan: &Plan, relation: &Relation) -> String {
    let columns = || plan.row_columns().iter().enumerate();
    let arrays: Vec<String> =
        columns().map(|(index, column)| format!("${}::{}", index + 1, array_name(&column.column_type))).collect();
    let aliases: Vec<String> = columns().map(|(index, _)| format!("c{index}")).collect();
    let value = |index: usize| format!("v.c{index}{}", cast(&plan.columns[index].column_type));
    let mut conditions: Vec<String> =
        plan.key.iter().map(|&index| format!("t.{} = {}", quote(&plan.columns[index].name), value(index))).collect();
    if let Some(column) = plan.last_written() {
        let newer = columns().find(|(_, found)| found.name == column.name);
        let newer = newer.map(|(index, _)| format!("({} > t.{}) IS NOT TRUE", value(index), quote(&column.name)));
        conditions.extend(newer);
    }
    format!(
        "SELECT v.number FROM unnest({}) WITH ORDINALITY AS v({}, number)\nWHERE EXISTS (SELECT FROM {} AS t WHERE {})",
        arrays.join(", "),
        aliases.join(", "),
        relation.name.quoted(),
        conditions.join(" AND ")
    )
}

pub(super) fn superseded(
    session: &mut Session,
    sql: &str,
    rows: &Rows,
    which: &[u32],
    timeout: Duration,
) -> Result<Vec<u32>> {
    let each: Vec<Coalesced> = which.iter().map(|&row| Coalesced { first: row, last: row }).collect();
    let arrays = arrays(rows, &each);
    let types = rows.plan.row_columns().iter().map(|column| array_type(&column.column_type));
    let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
        arrays.iter().map(|array| array as &(dyn ToSql + Sync)).zip(types).collect();
    session.run("comparing events with the table", timeout, |client| {
        let found = client.query_typed(sql, &parameters)?;
        let numbers = found.iter().map(|row| row.try_get::<_, i64>(0)).collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(numbers.iter().filter_map(|number| which.get(usize::try_from(number - 1).ok()?)).copied().collect())
    })
}
