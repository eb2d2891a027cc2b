//! Groups of dead letters.

use std::time::{Duration, UNIX_EPOCH};

use crate::config::Config;
use crate::error::foreign_text::without_numbers;
use crate::error::{Error, ErrorKind, Violation};
use crate::report::dead_letter::{DeadLetter, Stage};
use crate::report::summary::Summary;
use crate::rows::schema::Schema;
use crate::sink::summary::groups::{GROUPS_MAX, Groups};
use crate::sink::summary::summarize::entries;

/// The dead letter of an event that the schema refuses, rejected at the second of its offset.
fn refused(schema: &Schema, offset: u64, event: &str) -> DeadLetter {
    let error = schema.parse(event.as_bytes()).unwrap_err();
    DeadLetter::new(offset, 0, i64::try_from(offset).unwrap() * 1_000_000, &error, event.as_bytes())
}

fn schema(text: &str) -> Schema {
    let mut config = Config::default();
    config.schema.inline = Some(text.into());
    Schema::compile(&config.schema, 1 << 20).unwrap()
}

fn summary_of(letters: &[DeadLetter], now: &Schema) -> Summary {
    let mut groups = Groups::default();
    let mut summary = Summary { dead_letters: letters.len() as u64, ..Summary::default() };
    for letter in letters {
        match entries(letter, now, false) {
            Some(entries) => groups.add(letter, entries),
            None => summary.accepted_now += 1,
        }
    }
    (summary.groups, summary.ungrouped) = groups.finish();
    summary
}

#[test]
fn dead_letters_of_one_cause_are_one_group_with_counts_and_times() {
    let before = schema(
        r#"{"required":["id"],"properties":{"a":{"items":{"maxLength":2}},"b":{"type":"null"},"id":{}},"additionalProperties":false}"#,
    );
    let letters = [
        refused(&before, 1, r#"{"id":1,"b":null,"a":["abc","abcd"]}"#),
        refused(&before, 2, r#"{"a":["abcde"]}"#),
        refused(&before, 5, r#"{"id":1,"x":1}"#),
        refused(&before, 7, r#"{"id":1,"x":2}"#),
        refused(&before, 9, r#"{"id":1,"b":1}"#),
    ];
    let summary = summary_of(&letters, &before);
    let found: Vec<_> = summary
        .groups
        .iter()
        .map(|group| {
            let keyword = group.keyword.as_deref().unwrap();
            (group.dead_letters, group.pointer.as_deref().unwrap(), keyword, group.first_offset, group.patch.join(","))
        })
        .collect();
    let longest = r#"{"op":"replace","path":"/properties/a/items/maxLength","value":5}"#;
    assert_eq!(found[0], (2, "/a/*", "maxLength", 1, longest.into()));
    assert_eq!(
        found[1],
        (2, "", "additionalProperties", 5, r#"{"op":"add","path":"/properties/x","value":{}}"#.into())
    );
    assert_eq!(found[2], (1, "", "required", 2, r#"{"op":"remove","path":"/required"}"#.into()));
    assert_eq!((found[3].2, found.len()), ("type", 4));
    let seconds = |second| UNIX_EPOCH + Duration::from_secs(second);
    assert_eq!((summary.groups[0].first_at, summary.groups[0].last_at), (seconds(1), seconds(2)));
    assert_eq!((summary.groups[1].first_at, summary.groups[1].last_at), (seconds(5), seconds(7)));

    // A better schema accepts some of them.
    let now = schema(r#"{"properties":{"a":{"items":{"maxLength":4}},"b":{"type":"null"}}}"#);
    let summary = summary_of(&letters, &now);
    assert_eq!((summary.accepted_now, summary.groups.len()), (3, 2), "{summary:?}");
}

#[test]
fn the_memory_of_groups_is_bounded_and_what_has_no_room_is_counted() {
    let closed = schema(r#"{"additionalProperties":false,"properties":{}}"#);
    let count = GROUPS_MAX as u64 + 50;
    let letters: Vec<_> = (0..count).map(|n| refused(&closed, n, &format!(r#"{{"customer-{n}":1}}"#))).collect();
    let summary = summary_of(&letters, &closed);
    assert_eq!((summary.groups.len(), summary.ungrouped), (GROUPS_MAX, 50));
    assert_eq!(summary.groups.iter().map(|group| group.dead_letters).sum::<u64>() + summary.ungrouped, count);
}

#[test]
fn reasons_that_differ_in_numbers_are_one_group() {
    assert_eq!(without_numbers("EOF at line 1 column 203"), "EOF at line N column N");
    assert_eq!(without_numbers("column c1, 22P02, é2"), "column c1, NP02, é2");
    assert_eq!(without_numbers("(SQLSTATE 22P02) SHA-256, 12 on 2026-11-27"), "(SQLSTATE 22P02) SHA-256, N on N-N-N");
    let schema = schema("{}");
    let letters = [refused(&schema, 1, "{"), refused(&schema, 2, r#"{"aaa":1"#), refused(&schema, 3, "{,}")];
    let summary = summary_of(&letters, &schema);
    assert_eq!(summary.groups.iter().map(|group| group.dead_letters).collect::<Vec<_>>(), [2, 1], "{summary:?}");
    assert!(summary.groups.iter().all(|group| group.stage == Stage::Json && group.advice.contains("the source")));
}

#[test]
fn other_stages_say_what_to_do_with_the_column() {
    let schema = schema("{}");
    let check = |error: Error, advice: &str| {
        let letter = DeadLetter::new(1, 0, 0, &error, b"{}");
        let summary = summary_of(&[letter], &schema);
        assert_eq!(summary.groups[0].advice, advice);
        assert_eq!(summary.accepted_now, 0);
    };
    let violation =
        Violation { pointer: "/a".into(), keyword: "column".into(), message: "is not a whole number".into() };
    check(
        Error::new(ErrorKind::Unmapped, "no fit").with_column(Some("duration")).with_violations(vec![violation]),
        "change column duration or its source in mapping.columns, then replay",
    );
    let budget = Violation { pointer: String::new(), keyword: "budget".into(), message: "too many steps".into() };
    check(
        Error::new(ErrorKind::Schema, "too many steps").with_violations(vec![budget]),
        "simplify the alternatives or patterns of the schema, which take more steps than an event has",
    );
    check(Error::new(ErrorKind::Constraint, "refused"), "change the table, then replay");
}
