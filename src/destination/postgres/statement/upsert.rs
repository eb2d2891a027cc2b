//! The one statement that applies a batch: move the checkpoint, insert or update every row, count what happened.
//!
//! It has two forms. The upsert takes any rows. The split form takes those with fresh keys apart, which a plain INSERT writes; if one of
//! these keys is in the table after all, the statement fails as a whole: see [`fresh`](super::super::fresh).
//!
//! Each column travels as an array and `unnest` turns the arrays into rows: the fastest way measured, and one statement for all
//! sizes of batches. The form is portable (it runs on Citus too): `now()` is in the SELECT list and not in DO UPDATE SET, and
//! types whose arrays some engines lack travel as text.
//!
//! Every statement compares its first parameter with a literal of its own, the nonce, and does nothing if they differ. Behind a
//! pooler that does not know prepared statements, the name `s0` may be another process's statement on the server connection at
//! hand, with the same types. The nonce detects that, and nothing is written.

use postgres::Row;
use postgres::types::Type;

use super::super::catalogue::Relation;
use super::super::connection::PgResult;
use super::history;
use super::types::{array_name, array_type, cast, from_arrays, list, push};
use crate::destination::names::quote;
use crate::rows::{ColumnSource, OnConflict, OnlyIf, Plan};

/// SQL and the types of its parameters: the nonce, an array for each of the plan's row columns, in the split form another one for the
/// rows with fresh keys, and with a fence spool id, owner, position to move from, position to move to; then those of the history.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Upsert {
    pub(in super::super) sql: String,
    pub(in super::super) types: Vec<Type>,
}

/// The forms of the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Form {
    /// With a fence: it moves the checkpoint.
    pub(in super::super) fenced: bool,
    /// For late events.
    pub(in super::super) late: bool,
    /// With fresh keys apart.
    pub(in super::super) split: bool,
}

/// The one row that the statement returns.
pub(in super::super) struct UpsertOutcome {
    /// Whether the statement that ran was ours.
    pub(in super::super) is_ours: bool,
    /// The number of checkpoints that moved: 1, or 0 if fenced.
    pub(in super::super) moved: i64,
    pub(in super::super) inserted: i64,
    pub(in super::super) updated: i64,
}

impl UpsertOutcome {
    pub(in super::super) fn read(row: &Row) -> PgResult<Self> {
        Ok(Self {
            is_ours: row.try_get(0)?,
            moved: row.try_get(1)?,
            inserted: row.try_get(2)?,
            updated: row.try_get(3)?,
        })
    }
}

impl Upsert {
    /// `nonce` consists of letters and digits.
    pub(in super::super) fn new(
        plan: &Plan,
        relation: &Relation,
        nonce: &str,
        Form { fenced, late, split }: Form,
    ) -> Self {
        let mut types = vec![Type::TEXT];
        for _ in 0..=usize::from(split) {
            types.extend(plan.row_columns().iter().map(|column| array_type(&column.column_type)));
        }
        let ours = format!("$1::text = '{nonce}'");
        let mut sql = String::from("WITH ");
        let (condition, moved) = if fenced {
            let next = types.len() + 1;
            types.extend([Type::TEXT, Type::TEXT, Type::INT8, Type::INT8]);
            push_fence(&mut sql, relation, next, &ours);
            ("EXISTS (SELECT 1 FROM fence)", "(SELECT count(*) FROM fence)")
        } else {
            (ours.as_str(), "1::bigint")
        };
        history::push_insert(&mut sql, plan, relation, condition, types.len() + 1, late);
        types.extend(history::types(plan));
        if split {
            sql.push_str("fresh AS (\n");
            push_insert(&mut sql, plan, relation, &from_lists(plan, 2 + plan.width), condition);
            sql.push_str("  RETURNING 1\n), ");
        }
        sql.push_str("written AS (\n");
        if split {
            // Counting the fresh rows writes them first, so that the upsert does not begin if one of them is refused.
            let condition = format!("{condition} AND {FRESH} >= 0");
            push_insert(&mut sql, plan, relation, &from_lists(plan, 2), &condition);
        } else {
            let rows = from_arrays(plan.row_columns().iter().map(|column| &column.column_type), 2);
            push_insert(&mut sql, plan, relation, &rows, condition);
        }
        push_conflict(&mut sql, plan, if late { plan.on_conflict_of_late() } else { plan.on_conflict() });
        push_counts(&mut sql, plan, relation, &ours, moved, split);
        Self { sql, types }
    }
}

fn push_fence(sql: &mut String, relation: &Relation, parameter: usize, ours: &str) {
    let checkpoint = relation.name.checkpoint().quoted();
    let (id, owner, from, to) = (parameter, parameter + 1, parameter + 2, parameter + 3);
    push(
        sql,
        format_args!(
            "fence AS (\n  UPDATE {checkpoint} SET position = ${to}, updated_at = now()\n  \
             WHERE spool_id = ${id} AND owner = ${owner} AND position = ${from} AND {ours}\n  RETURNING 1\n), "
        ),
    );
}

/// The number of rows that were written as fresh.
const FRESH: &str = "(SELECT count(*) FROM fresh)";

/// The rows of arrays of one length, in the form that costs PostgreSQL a tenth less: it needs not collect them before the first is used.
fn from_lists(plan: &Plan, first: usize) -> String {
    let columns = plan.row_columns().iter().enumerate();
    let lists =
        columns.map(|(i, column)| format!("unnest(${}::{}) AS c{i}", first + i, array_name(&column.column_type)));
    format!("(SELECT {}) AS v", list(lists))
}

fn push_insert(sql: &mut String, plan: &Plan, relation: &Relation, rows: &str, condition: &str) {
    let names = list(plan.columns.iter().map(|column| quote(&column.name)));
    let values = list(plan.columns.iter().enumerate().map(|(i, column)| match column.source {
        ColumnSource::Now => "now()".into(),
        _ => format!("v.c{i}{}", cast(&column.column_type)),
    }));
    let table = relation.name.quoted();
    push(
        sql,
        format_args!("  INSERT INTO {table} AS t ({names})\n  SELECT {values}\n  FROM {rows}\n  WHERE {condition}\n"),
    );
}

fn push_conflict(sql: &mut String, plan: &Plan, on_conflict: OnConflict<'_>) {
    let key = list(plan.key.iter().map(|&i| quote(&plan.columns[i].name)));
    let OnConflict::Update { updated, only_if } = on_conflict else {
        push(sql, format_args!("  ON CONFLICT ({key}) DO NOTHING\n"));
        return;
    };
    let set = list(updated.iter().map(|column| {
        let name = quote(&column.name);
        format!("{name} = EXCLUDED.{name}")
    }));
    push(sql, format_args!("  ON CONFLICT ({key}) DO UPDATE SET {set}\n"));
    match only_if {
        OnlyIf::Always => {}
        OnlyIf::Changed(compared) => {
            // `*<>` of records compares what is stored (without the casts it would be an operator of each pair of columns). Equality
            // would keep 'sales' for 'Sales' under a collation that ignores case, and 1 for 1.0 in `numeric` and `jsonb`; which of
            // them stays would depend on the division into batches.
            let side = |side: &str| list(compared.iter().map(|column| format!("{side}.{}", quote(&column.name))));
            push(sql, format_args!("  WHERE ROW({})::record *<> ROW({})::record\n", side("t"), side("EXCLUDED")));
        }
        OnlyIf::NotOlder(column) => {
            let name = quote(&column.name);
            push(sql, format_args!("  WHERE t.{name} IS NULL OR EXCLUDED.{name} >= t.{name}\n"));
        }
        OnlyIf::Newer(column) => {
            let name = quote(&column.name);
            push(sql, format_args!("  WHERE EXCLUDED.{name} > t.{name}\n"));
        }
    }
}

fn push_counts(sql: &mut String, plan: &Plan, relation: &Relation, ours: &str, moved: &str, split: bool) {
    let counted = if relation.partitioned {
        // A partitioned table returns no system column ("cannot retrieve a system column in this context"). But the outer query
        // sees the table as it was before the statement: a key that it finds was updated.
        let names: Vec<String> = plan.key.iter().map(|&i| quote(&plan.columns[i].name)).collect();
        let returned = list(names.iter().enumerate().map(|(i, name)| format!("t.{name} AS k{i}")));
        let same: Vec<_> = names.iter().enumerate().map(|(i, name)| format!("o.{name} = w.k{i}")).collect();
        push(sql, format_args!("  RETURNING {returned}\n)\n"));
        let (table, same) = (relation.name.quoted(), same.join(" AND "));
        format!("(SELECT NOT EXISTS (SELECT 1 FROM {table} AS o WHERE {same}) AS inserted FROM written AS w)")
    } else {
        sql.push_str("  RETURNING t.xmax = 0 AS inserted\n)\n");
        "written".into()
    };
    let fresh = if split { format!(" + {FRESH}") } else { String::new() };
    push(
        sql,
        format_args!(
            "SELECT {ours}, {moved}, count(*) FILTER (WHERE inserted){fresh}, count(*) FILTER (WHERE NOT inserted)\nFROM {counted} AS counted"
        ),
    );
}
