//! `[mapping]`: the source of each column.

use crate::config::columns::MappingSource;

/// `[mapping]`
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MappingConfig {
    /// Column and source, in the order of the columns.
    pub columns: Vec<(String, MappingSource)>,
    /// The columns of the conflict key.
    pub key: Vec<String>,
    /// The columns that an update changes; `None`: every column outside the key, except one filled with `now` named `created_at`. The
    /// default counts as `None` where `columns` lacks some of it.
    pub update: Option<Vec<String>>,
    /// Whether `update` was set. The default's list fits the default's columns only.
    pub(in crate::config) update_chosen: bool,
}

impl Default for MappingConfig {
    fn default() -> Self {
        let columns = [
            ("interaction_id", "/interactionId"),
            ("timestamp", "/timestamp"),
            ("type", "/type"),
            ("idempotency_key", "/idempotencyKey"),
            ("duration", "/attributes/duration"),
            ("disposition", "/attributes/disposition"),
            ("queue_name", "/attributes/queueName"),
            ("agent_id", "/attributes/agentId"),
            ("attributes", "rest"),
            ("created_at", "now"),
            ("updated_at", "now"),
        ];
        let update = ["duration", "disposition", "queue_name", "agent_id", "attributes", "updated_at"];
        Self {
            columns: columns.map(|(column, source)| (column.into(), source.into())).into(),
            key: vec!["idempotency_key".into()],
            update: Some(update.map(Into::into).into()),
            update_chosen: false,
        }
    }
}
