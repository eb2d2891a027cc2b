//! The plan of an upsert, made once for each connection from the configuration and the catalogue.

use crate::config::{Config, MappingConfig, MappingSource, UpdateMode};
use crate::error::Result;
use crate::rows::columns::{
    PlanColumn, Role, generated_column, is_loose, make_timestamp_follow, missing_column, plan_column,
};
use crate::rows::history::HistoryPlan;
use crate::rows::source::ColumnSource;
use crate::rows::table::{Table, check_defaults, check_unique_key, has_other_key};

/// The action of the statement when the table already has the key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnConflict<'a> {
    /// The row stays unchanged.
    Keep,
    /// These columns get the values of the new row.
    Update { updated: Vec<&'a PlanColumn>, only_if: OnlyIf<'a> },
}

/// The condition of an update.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnlyIf<'a> {
    Always,
    /// At least one of these columns gets another value.
    Changed(Vec<&'a PlanColumn>),
    /// The new value of this timestamp column is not older.
    NotOlder(&'a PlanColumn),
    /// The new value of this timestamp column is newer; a row without one is not updated.
    Newer(&'a PlanColumn),
}

/// The plan of an upsert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// As configured, with or without a schema: `reporting.cxone_events`.
    pub(crate) table: String,
    /// First the columns of a row, in the configured order; then those that the destination writes by itself (`ColumnSource::Now`).
    pub(crate) columns: Vec<PlanColumn>,
    /// The number of columns of a row.
    pub(crate) width: usize,
    /// Indexes into `columns`, in the order of the conflict key.
    pub(crate) key: Vec<usize>,
    pub(crate) update_mode: UpdateMode,
    /// The timestamp column of update mode `newer`: an index into `columns`.
    pub(crate) newer_by: Option<usize>,
    /// Whether the database must see each event by itself. The coalesced row of a key might pass a check that refuses its first event;
    /// the table would then contain values of a refused event.
    pub(crate) is_guarded: bool,
    /// Whether the order of events with different keys can decide what the table contains.
    pub(crate) relates_rows: bool,
    /// Whether the table may take two different values of the key for one. Such rows are written in the order of their arrival
    /// and never coalesced, over one connection: `is_guarded` and `relates_rows` are set too.
    pub(crate) has_loose_key: bool,
    /// `None` without a history.
    pub(crate) history: Option<HistoryPlan>,
}

impl Plan {
    /// Combines a valid configuration with the table.
    ///
    /// # Errors
    /// [`Database`](crate::ErrorKind::Database), class `Mismatch`: the table lacks something. [`Config`](crate::ErrorKind::Config): the
    /// mapping contradicts itself.
    pub(crate) fn new(config: &Config, table: &Table) -> Result<Self> {
        let plan = Self::of_columns(config, table)?;
        check_unique_key(&config.mapping, table)?;
        plan.with_history(config, table)
    }

    /// [`new`](Self::new) for a configuration that has nothing else.
    #[cfg(test)]
    pub(crate) fn of(mapping: &MappingConfig, update_mode: UpdateMode, table: &Table) -> Result<Self> {
        let mut config = Config { mapping: mapping.clone(), ..Config::default() };
        config.destination.update = update_mode;
        Self::new(&config, table)
    }

    /// Adds the history, if there is one.
    pub(crate) fn with_history(self, config: &Config, table: &Table) -> Result<Self> {
        let Some(history) = &table.history else { return Ok(self) };
        let history = HistoryPlan::new(config, (&self.columns, self.width), table, history)?;
        Ok(Self { history: Some(history), ..self })
    }

    /// Like [`new`](Self::new), without the check of the unique indexes, which is [`check_unique_key`], and without the history.
    pub(crate) fn of_columns(config: &Config, table: &Table) -> Result<Self> {
        let (mapping, update_mode) = (&config.mapping, config.destination.update);
        let is_default = mapping.columns == MappingConfig::default().columns;
        let mut columns = Vec::new();
        for (name, source) in &mapping.columns {
            let is_needed = !is_default || mapping.key.contains(name);
            match table.columns.iter().find(|column| column.name == *name) {
                Some(column) if column.is_generated && is_needed => return Err(generated_column(table, name)),
                // Somebody's own table may make such a column of the default mapping by itself.
                Some(column) if column.is_generated => {}
                Some(column) => columns.push(plan_column(config, table, column, source)?),
                // The table of the CXone tutorial lacks the column `attributes`, and the time columns are optional.
                None if matches!(source, MappingSource::Rest | MappingSource::Now) && is_default => {}
                None => return Err(missing_column(table, name)),
            }
        }
        check_defaults(mapping, table)?;
        // A row has a prefix of the columns. The sort is stable, so they stay in the configured order.
        columns.sort_by_key(|column| column.source == ColumnSource::Now);
        let width = columns.iter().filter(|column| column.source != ColumnSource::Now).count();
        let index_of = |name: &String| columns.iter().position(|column| column.name == *name);
        let key: Vec<usize> = mapping.key.iter().filter_map(index_of).collect();
        let newer_by = match update_mode {
            UpdateMode::Newer => Some(make_timestamp_follow(&mut columns, table)?),
            UpdateMode::Always | UpdateMode::Changed => None,
        };
        let has_other_key = has_other_key(mapping, table);
        let may_be_refused = columns[..width].iter().any(PlanColumn::may_be_refused);
        let has_loose_key = key.iter().any(|&index| is_loose(&columns[index], table));
        Ok(Self {
            table: table.name.clone(),
            columns,
            width,
            key,
            update_mode,
            newer_by,
            is_guarded: table.is_guarded || has_other_key || has_loose_key || may_be_refused,
            relates_rows: table.relates_rows || has_other_key || has_loose_key,
            has_loose_key,
            history: None,
        })
    }

    /// The columns of a row.
    pub(crate) fn row_columns(&self) -> &[PlanColumn] {
        &self.columns[..self.width]
    }

    /// The columns of which a row has values: those of the table, then those of the history that differ.
    pub(crate) fn stored_columns(&self) -> impl Iterator<Item = &PlanColumn> {
        self.row_columns().iter().chain(self.history.iter().flat_map(|history| &history.own))
    }

    /// The number of a row's values.
    pub(crate) fn stored_width(&self) -> usize {
        self.width + self.history.as_ref().map_or(0, |history| history.own.len())
    }

    /// The action of the statement when the table already has the key.
    pub(crate) fn on_conflict(&self) -> OnConflict<'_> {
        let updated: Vec<&PlanColumn> = self.columns.iter().filter(|column| column.role == Role::Updated).collect();
        let only_if = match (self.update_mode, self.newer_by) {
            (UpdateMode::Newer, Some(newer_by)) => OnlyIf::NotOlder(&self.columns[newer_by]),
            // The time or the place of a delivery does not count as a change.
            (UpdateMode::Changed, _) => {
                OnlyIf::Changed(updated.iter().copied().filter(|column| column.source.is_of_event()).collect())
            }
            (UpdateMode::Always, _) | (UpdateMode::Newer, None) => OnlyIf::Always,
        };
        let never = matches!(&only_if, OnlyIf::Changed(compared) if compared.is_empty());
        if updated.is_empty() || never { OnConflict::Keep } else { OnConflict::Update { updated, only_if } }
    }
}
