//! The oracle of the history: each event once, in order, with its values; and folded by the upsert's rule it gives the table.

use ::postgres::Client;

use super::oracle;

pub const TABLE: &str = "cxone_events_history";

/// Columns whose values come from the event.
const OF_EVENT: &str = "interaction_id, timestamp, type, idempotency_key, duration, disposition, queue_name, agent_id";

/// The history has exactly these events, each at its offset, once, with its values.
pub fn check_events<'a>(client: &mut Client, events: impl IntoIterator<Item = (u64, &'a [u8])>) {
    client
        .batch_execute(
            "DROP TABLE IF EXISTS expected_events; CREATE TABLE expected_events (spool_offset bigint, interaction_id text, timestamp timestamptz,
             type text, idempotency_key text, duration numeric, disposition text, queue_name text, agent_id text)",
        )
        .unwrap();
    let mut transaction = client.transaction().unwrap();
    let insert = transaction
        .prepare(
            "INSERT INTO expected_events VALUES ($1, $2, ($3::text)::timestamptz, $4, $5, ($6::text)::numeric, $7, $8, $9)",
        )
        .unwrap();
    for (offset, event) in events {
        let [interaction, timestamp, kind, key, duration, disposition, queue, agent] =
            oracle::values(&serde_json::from_slice(event).unwrap());
        let offset = i64::try_from(offset).unwrap();
        transaction
            .execute(
                &insert,
                &[&offset, &interaction, &timestamp, &kind, &key, &duration, &disposition, &queue, &agent],
            )
            .unwrap();
    }
    transaction.commit().unwrap();
    let (expected, found) = (
        format!("SELECT spool_offset, {OF_EVENT} FROM expected_events"),
        format!("SELECT spool_offset, {OF_EVENT} FROM {TABLE}"),
    );
    let sql = format!(
        "SELECT 'missing: ' || x::text FROM ({expected} EXCEPT ALL {found}) x
         UNION ALL SELECT 'too many: ' || x::text FROM ({found} EXCEPT ALL {expected}) x LIMIT 8"
    );
    let differences: Vec<String> = client.query(&sql, &[]).unwrap().iter().map(|row| row.get(0)).collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

/// The rows of the table that folding the history does not give, and the other way round. The times of the transaction are compared
/// if `with_times`.
pub fn differences_of_fold(client: &mut Client, mode: &str, with_times: bool) -> Vec<String> {
    let timestamp = if mode == "newer" { "timestamp = EXCLUDED.timestamp, " } else { "" };
    let insert = format!(
        "INSERT INTO folded AS t ({OF_EVENT}, created_at, updated_at) VALUES (e.interaction_id, e.timestamp, e.type,
         e.idempotency_key, e.duration, e.disposition, e.queue_name, e.agent_id, e.created_at, e.updated_at)
         ON CONFLICT (idempotency_key) DO"
    );
    let update = format!(
        "UPDATE SET {timestamp}duration = EXCLUDED.duration, disposition = EXCLUDED.disposition, queue_name = EXCLUDED.queue_name,
         agent_id = EXCLUDED.agent_id, updated_at = EXCLUDED.updated_at"
    );
    let late =
        if mode == "newer" { format!("{update} WHERE EXCLUDED.timestamp > t.timestamp") } else { "NOTHING".into() };
    client
        .batch_execute(&format!(
            "DROP TABLE IF EXISTS folded; {};
             DO $fold$ DECLARE e record; BEGIN
                 FOR e IN SELECT * FROM {TABLE} ORDER BY spool_offset LOOP
                     IF e.spool_late THEN {insert} {late}; ELSE {insert} {update}{}; END IF;
                 END LOOP;
             END $fold$",
            oracle::tutorial_table("folded"),
            oracle::update_clause(mode)
        ))
        .unwrap();
    let times = match (with_times, mode) {
        (false, _) => "",
        // A batch whose events change a row and change it back leaves it as it is.
        (true, "changed") => ", created_at",
        (true, _) => ", created_at, updated_at",
    };
    let difference =
        |a: &str, b: &str| format!("(SELECT {OF_EVENT}{times} FROM {a} EXCEPT ALL SELECT {OF_EVENT}{times} FROM {b})");
    let sql = format!(
        "SELECT 'only in the table: ' || x::text FROM {} x UNION ALL SELECT 'only folded: ' || x::text FROM {} x",
        difference("cxone_events", "folded"),
        difference("folded", "cxone_events")
    );
    client.query(&sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}
