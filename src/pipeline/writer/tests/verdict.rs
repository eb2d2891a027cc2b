//! Verdicts from evidence alone. `src/sink/tests/verdicts.rs` has the writer with a simulated table.

use super::*;
use crate::pipeline::handoff::tests::plan;
use crate::rows::PlanColumn;

fn evidence(is_refused: bool, neighbour_passes: bool, neighbours_refused: u64, variant_passes: bool) -> Evidence {
    Evidence { is_refused, neighbour_passes, neighbours_refused, variant_passes }
}

#[test]
fn every_evidence_has_its_verdict() {
    use Verdict::{Event, Passes, Table};
    let cases = [
        // What passes by itself is no bad event, whatever else passes.
        ((false, false, 0, false), Passes),
        ((false, true, 3, true), Passes),
        // Beside one that passes it is a bad event, however many are refused in between.
        ((true, true, 0, false), Event),
        ((true, true, 5000, false), Event),
        // Nothing passes: the table may refuse everything. Also a lone event.
        ((true, false, 0, false), Table),
        ((true, false, 1, false), Table),
        ((true, false, 5000, false), Table),
        // Its own row passes with other values.
        ((true, false, 0, true), Event),
        ((true, false, ALONE_MAX - 1, true), Event),
        // But as many others are refused, too.
        ((true, false, ALONE_MAX, true), Table),
        ((true, false, 5000, true), Table),
    ];
    for ((is_refused, neighbour_passes, neighbours_refused, variant_passes), verdict) in cases {
        let evidence = evidence(is_refused, neighbour_passes, neighbours_refused, variant_passes);
        assert_eq!(Judge::default().judge("23514", evidence), verdict, "{evidence:?}");
    }
}

/// The brake: a table that begins to refuse what every event has loses a few events to the dead letters, not all.
#[test]
fn one_after_another_is_set_aside_only_a_few_times_without_an_event_that_passes() {
    let lone = evidence(true, false, 0, true);
    let mut judge = Judge::default();
    let set_aside = |reason, max, judge: &mut Judge| {
        for _ in 0..max {
            assert_eq!(judge.judge(reason, lone), Verdict::Event);
        }
        assert_eq!(judge.judge(reason, lone), Verdict::Table);
        assert_eq!(judge.judge(reason, lone), Verdict::Table, "waiting changes nothing");
    };
    set_aside("23514", ALONE_MAX, &mut judge);
    judge.note_committed();
    set_aside("23514", ALONE_MAX, &mut judge);
    assert_eq!(judge.judge("23514", evidence(true, true, 0, true)), Verdict::Event, "a neighbour lifts it");
    set_aside("23514", ALONE_PROVEN_MAX, &mut judge);
    assert_eq!(judge.judge("22001", lone), Verdict::Table, "another reason is not proven, and these are in a row");
    judge.note_committed();
    judge.forget();
    set_aside("23514", ALONE_MAX, &mut judge);
}

fn plan_of(column_type: ColumnType, required: bool) -> Plan {
    let mut plan = Plan::clone(&plan());
    plan.columns[0] = PlanColumn { column_type, required, ..plan.columns[0].clone() };
    plan
}

const TEXT: ColumnType = ColumnType::Text { chars_max: None };

#[test]
fn a_proven_column_is_not_the_reason() {
    let mut judge = ColumnJudge::default();
    judge.note_plan(&plan_of(TEXT, false));
    judge.prove("k");
    assert_eq!(judge.verdict("k", 5000), Verdict::Event);
    judge.note_plan(&plan_of(TEXT, false));
    assert_eq!(judge.verdict("k", 5000), Verdict::Event, "the same plan again");
}

#[test]
fn a_column_that_changed_while_running_must_be_proven_again() {
    for changed in [plan_of(ColumnType::Int4, false), plan_of(TEXT, true)] {
        let mut judge = ColumnJudge::default();
        judge.note_plan(&plan_of(TEXT, false));
        judge.prove("k");
        judge.note_plan(&changed);
        assert_eq!(judge.verdict("k", 1), Verdict::Table);
        judge.prove("k");
        assert_eq!(judge.verdict("k", 1), Verdict::Event);
        judge.note_plan(&plan_of(TEXT, false));
        assert_eq!(judge.verdict("k", 1), Verdict::Table, "the way back is a change, too");
    }
}

#[test]
fn a_column_that_no_value_fitted_yet_takes_a_few_misfits() {
    let mut judge = ColumnJudge::default();
    judge.note_plan(&plan_of(TEXT, false));
    assert_eq!(judge.verdict("k", ALONE_MAX + 1), Verdict::Table, "all of a first batch");
    for _ in 0..ALONE_MAX {
        assert_eq!(judge.verdict("k", 1), Verdict::Event);
        judge.note_set_aside("k", 1);
    }
    assert_eq!(judge.verdict("k", 1), Verdict::Table);
}
