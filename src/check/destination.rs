//! The steps on the way to the table.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::steps::{CheckStep, Steps};
use crate::check::schema_fit;
use crate::config::Config;
use crate::destination::{Destination, Examination};
use crate::report::finding::Finding;
use crate::rows::schema::Schema;
use crate::rows::{Plan, Table, check_unique_key};

const NAMES: [&str; 13] = [
    "destination.names",
    "destination.tcp",
    "destination.connection",
    "destination.tls",
    "destination.pooler",
    "destination.clock",
    "destination.table",
    "destination.columns",
    "destination.fit",
    "destination.key",
    "destination.privileges",
    HISTORY,
    "destination.checkpoint",
];

/// Left out without a history.
const HISTORY: &str = "destination.history";

pub(super) fn check(
    config: &Config,
    schema: Option<&Schema>,
    destination: &mut dyn Destination,
    reports: &Sender<CheckStep>,
) {
    let has_history = config.destination.history_table.is_some();
    let names: Vec<_> = NAMES.into_iter().filter(|name| has_history || *name != HISTORY).collect();
    let mut steps = Steps::new(&names, reports);
    if let Some(table) = reach(destination, &mut steps) {
        let plan = columns(config, schema, &table, &mut steps);
        let key = steps.examine("destination.key", || {
            check_unique_key(&config.mapping, &table)?;
            let key = &config.mapping.key;
            let costs = destination.examine(Examination::Key(key))?;
            Ok(costs.or_else(|| Some(Finding::good(format!("a unique index over ({})", key.join(", "))))))
        });
        // PostgreSQL refuses an upsert of unknown columns, or without its index, before it checks privileges.
        if let (Some(plan), Some(())) = (plan, key) {
            let examine = || destination.examine(Examination::Privileges(&plan));
            let is_writable = steps.examine("destination.privileges", examine).is_some();
            if has_history && is_writable {
                steps.examine(HISTORY, || history(config, &plan, &table, destination));
            }
        }
        steps.examine("destination.checkpoint", || destination.examine(Examination::Checkpoint));
    }
}

/// The steps up to the table; `None` if one failed.
fn reach(destination: &mut dyn Destination, steps: &mut Steps<'_>) -> Option<Table> {
    steps.examine("destination.names", || destination.examine(Examination::Names))?;
    steps.examine("destination.tcp", || destination.examine(Examination::Tcp))?;
    steps.examine("destination.connection", || destination.examine(Examination::Connection))?;
    steps.examine("destination.tls", || destination.examine(Examination::Tls));
    steps.examine("destination.pooler", || destination.examine(Examination::Pooler));
    steps.examine("destination.clock", || destination.examine(Examination::Clock));
    steps.step("destination.table", || {
        let table = destination.connect()?;
        let finding = Finding::good(format!("{} has {} columns", table.name, table.columns.len()));
        Ok((table, finding))
    })
}

fn columns(config: &Config, schema: Option<&Schema>, table: &Table, steps: &mut Steps<'_>) -> Option<Arc<Plan>> {
    let plan = steps.step("destination.columns", || {
        let plan = Plan::of_columns(config, table)?;
        let names: Vec<&str> = plan.columns.iter().map(|column| column.name.as_str()).collect();
        let finding = Finding::good(format!("filled: {}", names.join(", ")));
        Ok((Arc::new(plan), finding))
    })?;
    if let Some(schema) = schema {
        // A history that does not fit the table is the finding of a later step.
        let with_history = Plan::clone(&plan).with_history(config, table);
        let plan = with_history.as_ref().unwrap_or(&plan);
        steps.examine("destination.fit", || Ok(Some(fit(plan, schema))));
    }
    Some(plan)
}

fn history(
    config: &Config,
    plan: &Plan,
    table: &Table,
    destination: &mut dyn Destination,
) -> crate::error::Result<Option<Finding>> {
    let plan = Arc::new(plan.clone().with_history(config, table)?);
    destination.examine(Examination::History(&plan))
}

fn fit(plan: &Plan, schema: &Schema) -> Finding {
    let mismatches = schema_fit::mismatches(plan, schema);
    if mismatches.is_empty() {
        return Finding::good("the columns accept every value within the limits of the schema");
    }
    Finding::warning(
        mismatches.join("; "),
        "change the column, or set the limit in a schema of your own (schema.file): an event that does not fit becomes a dead letter",
    )
}
