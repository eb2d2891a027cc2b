//! Patterns that backtrack: what they mean, and what they cost.

use std::path::Path;

use proptest::prelude::*;
use serde_json::Value as Json;

use crate::rows::schema::budget::{Budget, steps_max};
use crate::rows::schema::ecma::{Program, is_backtracking};

fn is_match(pattern: &str, text: &str) -> Option<bool> {
    let program = Program::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    program.is_match(text, &Budget::new(text.len()))
}

/// `tests/schema_suite/patterns.mjs` writes them.
#[test]
fn patterns_mean_what_they_mean_in_javascript() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema_suite/patterns.jsonl");
    let lines = std::fs::read_to_string(path).unwrap();
    let mut cases = 0;
    for line in lines.lines() {
        let (pattern, outcomes): (String, Vec<(String, bool)>) = serde_json::from_str(line).unwrap();
        for (text, expected) in outcomes {
            assert_eq!(is_match(&pattern, &text), Some(expected), "{pattern} on {text:?}");
            cases += 1;
        }
    }
    assert!(cases > 3000, "{cases}");
}

#[test]
fn a_pattern_that_backtracks_is_told_from_others() {
    for pattern in [r"(?=a)", r"a(?!b)", r"(?<=a)b", r"(?<!a)b", r"(a)\1", r"(?<n>a)\k<n>", r"[(](?=a)"] {
        assert!(is_backtracking(pattern), "{pattern}");
    }
    for pattern in [r"(a+)+$", r"(?:a)", r"(?<name>a)", r"\(?=a", r"[(?=a]", r"[\]\1]", r"\\1", r"\0", r"\k"] {
        assert!(!is_backtracking(pattern), "{pattern}");
    }
}

#[test]
fn a_pattern_that_cannot_be_used_is_refused_with_the_reason() {
    for (pattern, reason) in [
        (r"(?=a", "a group has no end"),
        (r"(?=a))", ") has no counterpart"),
        (r"(?=a)*", "an assertion is repeated"),
        (r"(?!a)**", "an assertion is repeated"),
        (r"(?!a)a**", "a quantifier follows another one"),
        (r"(?!a)|*", "* has nothing before it"),
        (r"(?=a)\2", r"\2 refers to no group"),
        (r"(a)\k<b>", r"\k<b> refers to no group"),
        (r"(?=a)\a", r"\a is no escape sequence"),
        (r"(?=a)[b-a]", "wrong way round"),
        (r"(?=a)b{2,1}", "wrong way round"),
        (r"(?=a)[b", "a class has no end"),
        (r"(?=a)\p{Nothing}", r"\p{Nothing} is no known property"),
        (r"(?=a)\ud800", "half a surrogate pair"),
        (r"(?=a)(?i:b)", "(?i is not supported"),
        (r"(?=a)(?>b)", "(?> is not supported"),
        (r"(?=a)b{20000}", "more than 10000 instructions"),
        (r"(?=a)((b{99}){99}){99}", "more than 10000 instructions"),
        (r"(?=a)((?:){4294967295}){4294967295}", "more than 10000 instructions"),
        (r"(?=a)b{99999999999}", "too large"),
    ] {
        let error = Program::new(pattern).unwrap_err();
        assert!(error.contains(reason), "{pattern}: {error}");
    }
    let deep = format!("{}a{}", "(?=".repeat(101), ")".repeat(101));
    assert!(Program::new(&deep).unwrap_err().contains("100 deep"));
}

#[test]
fn a_hostile_text_spends_the_budget_and_no_more() {
    for (pattern, text) in [
        (r"^(?!x)(a+)+$", "a".repeat(40) + "!"),
        (r"^(?!x)(a|a)*$", "a".repeat(40) + "!"),
        (r"^(a|ab|b)*(?=c)", "ab".repeat(40)),
        (r"(?<=!(a+)+)$", "a".repeat(40)),
        (r"^(.*)(.*)(.*)(.*)\1\2\3\4!$", "ab".repeat(100)),
        // The steps of a look-around count, and those of a long group.
        (r"(?=.*x)y", "a".repeat(100_000)),
        (r"(a*)\1\1b", "a".repeat(20_000)),
    ] {
        let budget = Budget::new(text.len());
        let program = Program::new(pattern).unwrap();
        assert_eq!(program.is_match(&text, &budget), None, "{pattern}");
        assert!(budget.is_spent());
    }
}

#[test]
fn the_memory_of_a_match_is_bounded() {
    let budget = Budget::new(64 << 20);
    let text = "a".repeat(4 << 20);
    assert_eq!(Program::new("(?!x)(?:a|b)*c").unwrap().is_match(&text, &budget), None);
    assert!(budget.is_spent());
}

#[test]
fn an_ordinary_pattern_takes_a_thousandth_of_the_budget() {
    for (pattern, text) in [
        (r"^(?!0+$)\d{10}$", "0123456789"),
        (r"^(?=.*\d)(?=.*[a-z]).{8,64}$", "correct7horse"),
        (r"^(?!.*\.\.)[\w.]+(?<!\.)$", "first.second.third"),
    ] {
        let budget = Budget::new(0);
        assert_eq!(Program::new(pattern).unwrap().is_match(text, &budget), Some(true), "{pattern}");
        let steps = steps_max(0) - budget.steps_left();
        assert!(steps < 1000, "{pattern}: {steps}");
    }
}

/// Patterns that both matchers know.
fn linear() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "a", "b", ".", r"\d", r"\w", r"\W", r"\s", "[ab]", "[^a]", "é", r"\b", r"\B", "^", "$", "(?:)", r"\p{Lu}",
        "[^]",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
            (inner.clone(), prop::sample::select(vec!["*", "+", "?", "*?", "{2}", "{0,2}", "{1,}"]))
                .prop_map(|(part, count)| format!("({part}){count}")),
        ]
    })
}

proptest! {
    #[test]
    fn both_matchers_agree_on_patterns_that_both_know(pattern in linear(), text in "[abcé1_ A\n]{0,8}") {
        let schema = serde_json::json!({ "pattern": pattern }).to_string();
        let schema = crate::rows::schema::tests::load::own_schema(&schema).unwrap();
        let expected = schema.parse(Json::from(text.as_str()).to_string().as_bytes()).is_ok();
        prop_assert_eq!(is_match(&pattern, &text), Some(expected), "{} on {:?}", pattern, text);
    }

    #[test]
    fn no_pattern_and_no_text_panics_or_goes_on_for_long(pattern in r"[ab(?=!<>)\[\]{}0-3,^$|*+.\\kdwpL-]{0,24}", text in "[ab!]{0,200}") {
        if let Ok(program) = Program::new(&pattern) {
            let _ = program.is_match(&text, &Budget::new(0));
        }
    }
}
