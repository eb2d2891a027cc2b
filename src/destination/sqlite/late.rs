//! Which late events would leave the table as it is.

use rusqlite::{Connection, params_from_iter};

use super::parameter::Parameter;
use crate::destination::names::quote;
use crate::rows::batch::Rows;
use crate::rows::{Plan, PlanColumn};

/// `table` is quoted.
pub(super) fn superseded(
    connection: &Connection,
    table: &str,
    rows: &Rows,
    which: &[u32],
) -> rusqlite::Result<Vec<u32>> {
    let plan = &rows.plan;
    let mut select = connection.prepare(&sql(plan, table))?;
    let mut superseded = Vec::new();
    for &row in which {
        let parameters =
            compared(plan).map(|(index, column)| Parameter::new(rows, row as usize, index, &column.column_type));
        if select.exists(params_from_iter(parameters))? {
            superseded.push(row);
        }
    }
    Ok(superseded)
}

/// The columns of the key, then that of the timestamp, if there is one that decides.
fn compared(plan: &Plan) -> impl Iterator<Item = (usize, &PlanColumn)> {
    let last_written = plan.last_written().map(|column| column.name.as_str());
    let key = plan.key.iter().map(move |&index| (index, &plan.columns[index]));
    key.chain(plan.columns.iter().enumerate().filter(move |(_, column)| Some(column.name.as_str()) == last_written))
}

fn sql(plan: &Plan, table: &str) -> String {
    let condition = |(n, (_, column)): (usize, (usize, &PlanColumn))| {
        let (name, parameter) = (quote(&column.name), n + 1);
        if n < plan.key.len() {
            format!("{name} = ?{parameter}")
        } else {
            format!("coalesce(?{parameter} > {name}, false) = false")
        }
    };
    let conditions: Vec<String> = compared(plan).enumerate().map(condition).collect();
    format!("SELECT 1 FROM {table} WHERE {}", conditions.join(" AND "))
}
