//! The oracle: events executed one by one, with the plain statement that a careful script would use.

use ::postgres::types::ToSql;
use ::postgres::{Client, GenericClient};
use cxsink::config::MappingSource;
use cxsink::{Config, Validator};
use serde_json::Value as Json;

/// How `destination.update` reads as SQL, for a table named `t` in the statement.
pub fn update_clause(mode: &str) -> &'static str {
    match mode {
        "always" => "",
        "changed" => {
            " WHERE (t.duration, t.disposition, t.queue_name, t.agent_id) IS DISTINCT FROM \
             (EXCLUDED.duration, EXCLUDED.disposition, EXCLUDED.queue_name, EXCLUDED.agent_id)"
        }
        "newer" => " WHERE EXCLUDED.timestamp >= t.timestamp",
        other => panic!("{other}"),
    }
}

/// The statement for one event, with the values as text parameters.
pub fn statement(table: &str, mode: &str) -> String {
    let timestamp = if mode == "newer" { "timestamp = EXCLUDED.timestamp, " } else { "" };
    format!(
        "INSERT INTO {table} AS t (interaction_id, timestamp, type, idempotency_key, duration, disposition, queue_name, agent_id)
         VALUES ($1, ($2::text)::timestamptz, $3, $4, ($5::text)::numeric::integer, $6, $7, $8)
         ON CONFLICT (idempotency_key) DO UPDATE SET {timestamp}duration = EXCLUDED.duration, disposition = EXCLUDED.disposition,
         queue_name = EXCLUDED.queue_name, agent_id = EXCLUDED.agent_id, updated_at = NOW(){}",
        update_clause(mode)
    )
}

/// The eight values of the statement.
pub fn values(event: &Json) -> [Option<String>; 8] {
    let text = |value: &Json| match value {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let attribute = |name: &str| text(&event["attributes"][name]);
    [
        text(&event["interactionId"]),
        text(&event["timestamp"]),
        text(&event["type"]),
        text(&event["idempotencyKey"]),
        attribute("duration"),
        attribute("disposition"),
        attribute("queueName"),
        attribute("agentId"),
    ]
}

/// The table of the CXone tutorial, made by hand: serial id, no column `attributes`.
pub fn tutorial_table(name: &str) -> String {
    format!(
        "CREATE TABLE {name} (id SERIAL PRIMARY KEY, interaction_id VARCHAR(255) NOT NULL, timestamp TIMESTAMPTZ NOT NULL,
         type VARCHAR(50) NOT NULL, idempotency_key VARCHAR(255) UNIQUE NOT NULL, duration INTEGER, disposition VARCHAR(255),
         queue_name VARCHAR(255), agent_id VARCHAR(255), created_at TIMESTAMPTZ DEFAULT NOW(), updated_at TIMESTAMPTZ DEFAULT NOW())"
    )
}

/// Executes every valid event in order; returns how many there were.
pub fn execute<'a>(
    client: &mut impl GenericClient,
    table: &str,
    mode: &str,
    events: impl IntoIterator<Item = &'a [u8]>,
) -> u64 {
    let validator = Validator::new(&Config::default()).unwrap();
    let statement = client.prepare(&statement(table, mode)).unwrap();
    let mut executed = 0;
    for event in events {
        if validator.validate(event).is_err() {
            continue;
        }
        let values = values(&serde_json::from_slice(event).unwrap());
        let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        client.execute(&statement, &parameters).unwrap();
        executed += 1;
    }
    executed
}

/// What both tables must agree on.
pub const COMPARED: &str =
    "idempotency_key, interaction_id, timestamp, type, duration, disposition, queue_name, agent_id";

/// Rows of either table that the other does not have.
pub fn differences(client: &mut Client, a: &str, b: &str) -> Vec<String> {
    let difference = |a: &str, b: &str| format!("(SELECT {COMPARED} FROM {a} EXCEPT ALL SELECT {COMPARED} FROM {b})");
    let sql = format!(
        "SELECT 'only in {a}: ' || x::text FROM {} x UNION ALL SELECT 'only in {b}: ' || y::text FROM {} y",
        difference(a, b),
        difference(b, a)
    );
    client.query(&sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

/// Executes every valid event in order, by the configuration's own schema and mapping, into a table like the one of `init_db`; returns
/// how many there were. Columns that are filled with `now` or `rest` are left out.
pub fn execute_mapped<'a>(
    client: &mut Client,
    config: &Config,
    table: &str,
    events: impl IntoIterator<Item = &'a [u8]>,
) -> u64 {
    let validator = Validator::new(config).unwrap();
    let mapping = &config.mapping;
    let columns: Vec<(&str, &str, String)> = mapping
        .columns
        .iter()
        .filter_map(|(column, source)| Some((column, pointer(source)?)))
        .map(|(column, pointer)| (column.as_str(), pointer, type_of(client, table, column)))
        .collect();
    let names: Vec<String> = columns.iter().map(|(column, ..)| format!("\"{column}\"")).collect();
    let values: Vec<String> =
        columns.iter().enumerate().map(|(at, (.., kind))| format!("(${}::text)::{kind}", at + 1)).collect();
    let is_updated =
        |column: &str| mapping.update.as_ref().is_none_or(|update| update.iter().any(|name| name == column));
    let updated =
        columns.iter().filter(|(column, ..)| is_updated(column) && !mapping.key.iter().any(|key| key == column));
    let assignments: Vec<String> =
        updated.map(|(column, ..)| format!("\"{column}\" = EXCLUDED.\"{column}\"")).collect();
    let statement = format!(
        "INSERT INTO {table} ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET {}",
        names.join(", "),
        values.join(", "),
        mapping.key.join(", "),
        assignments.join(", ")
    );
    let statement = client.prepare(&statement).unwrap();
    let mut executed = 0;
    for event in events.into_iter().filter(|event| validator.validate(event).is_ok()) {
        let event: Json = serde_json::from_slice(event).unwrap();
        let text = |(_, source, kind): &(&str, &str, String)| match event.pointer(source) {
            None | Some(Json::Null) => None,
            Some(Json::String(text)) if kind != "jsonb" => Some(text.clone()),
            Some(value) => Some(value.to_string()),
        };
        let values: Vec<Option<String>> = columns.iter().map(text).collect();
        let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        client.execute(&statement, &parameters).unwrap();
        executed += 1;
    }
    executed
}

/// The source's pointer; `None` for another source.
fn pointer(source: &MappingSource) -> Option<&str> {
    source.as_text().filter(|text| text.is_empty() || text.starts_with('/'))
}

fn type_of(client: &mut Client, table: &str, column: &str) -> String {
    let sql = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = $1::text::regclass AND attname = $2";
    client.query_one(sql, &[&table, &column]).unwrap().get(0)
}

/// Rows of the configuration's table or of `b` that the other does not have, in the columns that are filled from a place in the event.
pub fn mapped_differences(client: &mut Client, config: &Config, b: &str) -> Vec<String> {
    let a = &config.destination.table;
    let columns = config.mapping.columns.iter().filter(|(_, source)| pointer(source).is_some());
    let columns: Vec<String> = columns.map(|(column, _)| format!("\"{column}\"")).collect();
    let columns = columns.join(", ");
    let difference = |a: &str, b: &str| format!("(SELECT {columns} FROM {a} EXCEPT ALL SELECT {columns} FROM {b})");
    let sql = format!(
        "SELECT 'only in {a}: ' || x::text FROM {} x UNION ALL SELECT 'only in {b}: ' || y::text FROM {} y",
        difference(a, b),
        difference(b, a)
    );
    client.query(&sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}
