//! The SQL of `cxsink init-db`: the default table and the checkpoint table. A repetition changes nothing.

use crate::destination::names::{TableName, quote};

/// The statements that create `table`, and the checkpoint table in the same schema, with every name quoted.
pub(super) fn sql(table: &TableName) -> String {
    let events = table.quoted();
    let checkpoint = table.checkpoint().quoted();
    let (timestamp, kind) = (quote("timestamp"), quote("type"));
    format!(
        "\
CREATE TABLE IF NOT EXISTS {events} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    interaction_id varchar(255) NOT NULL,
    {timestamp} timestamptz NOT NULL,
    {kind} varchar(50) NOT NULL,
    idempotency_key varchar(255) NOT NULL UNIQUE,
    duration integer,
    disposition varchar(255),
    queue_name varchar(255),
    agent_id varchar(255),
    attributes jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS {checkpoint} (
    spool_id text PRIMARY KEY,
    position bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
"
    )
}
