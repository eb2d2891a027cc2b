//! The upsert of the current plan: prepared where the connection keeps prepared statements, then run for each batch.

use std::sync::Arc;
use std::time::Duration;

use postgres::types::{ToSql, Type};
use postgres::{Client, Statement};

use super::catalogue::Relation;
use super::checkpoint::to_bigint;
use super::connection::{PgResult, Session};
use super::encode::{ColumnArray, arrays};
use super::fresh::Split;
use super::server::not_connected;
use super::statement::{Form, Upsert, UpsertOutcome, history};
use crate::destination::{Applied, Fence, Write};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::rows::Plan;
use crate::rows::batch::Rows;

/// The statement of a plan, in every form.
pub(super) struct Upserts {
    variants: Vec<Variant>,
}

pub(super) struct Variant {
    form: Form,
    pub(super) nonce: String,
    pub(super) upsert: Upsert,
    /// Prepared at its first use on this connection.
    prepared: Option<Statement>,
}

/// The conditions of one run.
#[derive(Clone, Copy)]
pub(super) struct RunOptions {
    pub(super) timeout: Duration,
    pub(super) lock_timeout: Option<Duration>,
    /// Prepare nothing.
    pub(super) unnamed_only: bool,
}

impl Upserts {
    pub(super) fn new(plan: &Plan, relation: &Relation, nonce: &str) -> Self {
        let variant = |form: Form| {
            // A pooler that mixes up two of our own forms is found as well.
            let nonce = format!("{nonce}{}{}", if form.late { "L" } else { "" }, if form.split { "S" } else { "" });
            Variant { upsert: Upsert::new(plan, relation, &nonce, form), form, nonce, prepared: None }
        };
        let form = |(fenced, late)| Form { fenced, late, split: false };
        let forms = [(true, false), (false, false), (true, true), (false, true)].map(form);
        let split = Form { fenced: true, late: false, split: true };
        let splits = relation.has_checkpoint && relation.takes_plain_inserts && !plan.relates_rows;
        Self { variants: forms.into_iter().chain(splits.then_some(split)).map(variant).collect() }
    }

    /// Whether the statement of this batch has a split form. Without a fence a batch may come twice, and its keys are not fresh then; a
    /// late event mostly has a key that is known.
    pub(super) fn can_split(&self, write: &Write<'_>) -> bool {
        write.fence.is_some() && !write.is_late && self.variants.iter().any(|variant| variant.form.split)
    }

    /// Forgets the split form: this server does not take it.
    pub(super) fn never_split(&mut self) {
        self.variants.retain(|variant| !variant.form.split);
    }

    /// As if the server did not take the split form.
    #[cfg(test)]
    pub(super) fn break_split_form(&mut self) {
        let split = self.variants.iter_mut().filter(|variant| variant.form.split);
        split.for_each(|variant| variant.upsert.sql = "SELECT FROM no_table_of_this_name".into());
    }

    /// Runs the unfenced statement with no rows.
    pub(super) fn try_empty(&mut self, session: &mut Session, plan: &Plan, timeout: Duration) -> Result<()> {
        let rows = Rows::new(Arc::new(plan.clone()));
        let (arrays, history) = (arrays(&rows, &[]), history::Parameters::new(&Write::nothing(&rows)));
        let Variant { upsert, nonce, .. } = self.variant(Form { fenced: false, late: false, split: false })?;
        let typed = with_types(&parameters(nonce, &arrays, None, &history), upsert);
        session.run("trying the upsert", timeout, |client| client.query_typed(&upsert.sql, &typed)).map(drop)
    }

    pub(super) fn prepare(&mut self, session: &mut Session, fenced: bool, timeout: Duration) -> Result<()> {
        self.variant(Form { fenced, late: false, split: false })?.prepare(session, timeout)
    }

    pub(super) fn run(&mut self, session: &mut Session, write: &Write<'_>, options: &RunOptions) -> Result<Applied> {
        let form = Form { fenced: write.fence.is_some(), late: write.is_late, split: false };
        self.run_form(session, write, form, &arrays(write.rows, write.coalesced), options)
    }

    /// Runs the split form. `split`: the rows of the batch.
    pub(super) fn run_split(
        &mut self,
        session: &mut Session,
        write: &Write<'_>,
        split: &Split,
        options: &RunOptions,
    ) -> Result<Applied> {
        let form = Form { fenced: true, late: false, split: true };
        let both: Vec<_> = [&split.known, &split.fresh].into_iter().flat_map(|part| arrays(write.rows, part)).collect();
        self.run_form(session, write, form, &both, options)
    }

    fn run_form(
        &mut self,
        session: &mut Session,
        write: &Write<'_>,
        form: Form,
        arrays: &[ColumnArray<'_>],
        options: &RunOptions,
    ) -> Result<Applied> {
        let variant = self.variant(form)?;
        if !options.unnamed_only {
            variant.prepare(session, options.timeout)?;
        }
        let fence = write.fence.map(Positions::new).transpose()?;
        let history = history::Parameters::new(write);
        let parameters = parameters(&variant.nonce, arrays, fence.as_ref(), &history);
        let statement = variant.prepared.as_ref().filter(|_| !options.unnamed_only);
        let run = |client: &mut Client| {
            let rows = match statement {
                Some(statement) => client.query(statement, &parameters)?,
                None => client.query_typed(&variant.upsert.sql, &with_types(&parameters, &variant.upsert))?,
            };
            rows.first().map(UpsertOutcome::read).transpose()
        };
        let outcome = session.run("writing a batch", options.timeout, |client| match options.lock_timeout {
            // One statement is a transaction by itself.
            None => run(client),
            Some(lock_timeout) => in_limited_transaction(client, lock_timeout, options.timeout, run),
        })?;
        applied(outcome)
    }

    /// The form without a fence, for trials.
    pub(super) fn unfenced(&self) -> Result<&Variant> {
        let form = Form { fenced: false, late: false, split: false };
        self.variants.iter().find(|variant| variant.form == form).ok_or_else(not_connected)
    }

    fn variant(&mut self, form: Form) -> Result<&mut Variant> {
        self.variants.iter_mut().find(|variant| variant.form == form).ok_or_else(not_connected)
    }
}

impl Variant {
    fn prepare(&mut self, session: &mut Session, timeout: Duration) -> Result<()> {
        if self.prepared.is_none() {
            let Upsert { sql, types } = &self.upsert;
            self.prepared =
                Some(session.run("preparing the upsert", timeout, |client| client.prepare_typed(sql, types))?);
        }
        Ok(())
    }
}

/// Runs the upsert in a transaction with limits of its own: they end with it, so other clients of a pool do not inherit them. If
/// this client vanishes, the server keeps the rows locked no longer than the client would have waited.
fn in_limited_transaction(
    client: &mut Client,
    lock_timeout: Duration,
    timeout: Duration,
    run: impl FnOnce(&mut Client) -> PgResult<Option<UpsertOutcome>>,
) -> PgResult<Option<UpsertOutcome>> {
    client.batch_execute(&begin_limited(Some(lock_timeout), timeout))?;
    let outcome = run(client);
    let is_ours = matches!(&outcome, Ok(Some(outcome)) if outcome.is_ours);
    // The outcome counts, and not that of the clean-up.
    if is_ours {
        client.batch_execute("COMMIT")?;
    } else {
        drop(client.batch_execute("ROLLBACK"));
    }
    outcome
}

pub(super) fn begin_limited(lock_timeout: Option<Duration>, timeout: Duration) -> String {
    let all = timeout.as_millis();
    let lock = lock_timeout.map_or_else(String::new, |lock| format!("; SET LOCAL lock_timeout = {}", lock.as_millis()));
    format!("BEGIN; SET LOCAL statement_timeout = {all}; SET LOCAL idle_in_transaction_session_timeout = {all}{lock}")
}

fn applied(outcome: Option<UpsertOutcome>) -> Result<Applied> {
    match outcome {
        Some(outcome) if outcome.is_ours && outcome.moved == 0 => Ok(Applied::Fenced),
        Some(outcome) if outcome.is_ours => Ok(Applied::Committed {
            inserted: outcome.inserted.unsigned_abs(),
            updated: outcome.updated.unsigned_abs(),
        }),
        _ => Err(foreign_statement()),
    }
}

fn foreign_statement() -> Error {
    Error::new(ErrorKind::Protocol, "the server ran another statement than the one that was prepared")
        .with_class(Class::Transient)
        .with_hint("check the pooler: it mixes up prepared statements")
}

/// A fence in PostgreSQL's types.
pub(super) struct Positions<'a> {
    spool_id: &'a str,
    owner: &'a str,
    from: i64,
    to: i64,
}

impl<'a> Positions<'a> {
    fn new(fence: Fence<'a>) -> Result<Self> {
        Ok(Self {
            spool_id: fence.spool_id,
            owner: fence.owner,
            from: to_bigint(fence.from)?,
            to: to_bigint(fence.to)?,
        })
    }
}

/// In the order of [`Upsert`].
pub(super) fn parameters<'a>(
    nonce: &'a String,
    arrays: &'a [ColumnArray<'a>],
    fence: Option<&'a Positions<'a>>,
    history: &'a history::Parameters<'a>,
) -> Vec<&'a (dyn ToSql + Sync)> {
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![nonce];
    parameters.extend(arrays.iter().map(|array| array as &(dyn ToSql + Sync)));
    if let Some(fence) = fence {
        parameters.extend([&fence.spool_id as &(dyn ToSql + Sync), &fence.owner, &fence.from, &fence.to]);
    }
    history.push(&mut parameters);
    parameters
}

pub(super) fn with_types<'a>(
    parameters: &[&'a (dyn ToSql + Sync)],
    upsert: &Upsert,
) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    parameters.iter().copied().zip(upsert.types.iter().cloned()).collect()
}
