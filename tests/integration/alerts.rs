//! The alerts of deploy/prometheus/alerts.yml fire when they must, are silent when they must be, and say what to do next.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::process::{cxsink, output};
use crate::support::prometheus::promtool;

const RULES: &str = include_str!("../../deploy/prometheus/alerts.yml");
const TESTS: &str = include_str!("../prometheus/alerts_test.yml");

fn in_project(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).to_str().unwrap().to_owned()
}

/// The text before the first alert, and each alert with its name.
fn alerts() -> (&'static str, Vec<(&'static str, &'static str)>) {
    let (head, rest) = RULES.split_once("  - alert: ").unwrap();
    let alerts = rest.split("  - alert: ").map(|alert| (alert.lines().next().unwrap(), alert)).collect::<Vec<_>>();
    assert!(alerts.len() >= 8, "these cannot be all alerts");
    (head, alerts)
}

#[test]
fn promtool_accepts_the_rules_and_their_tests_pass() {
    for arguments in
        [["check", "rules", "deploy/prometheus/alerts.yml"], ["test", "rules", "tests/prometheus/alerts_test.yml"]]
    {
        let (is_right, said) = promtool(&[arguments[0], arguments[1], &in_project(arguments[2])], "");
        assert!(is_right, "{said}");
    }
}

/// The alert with each of its thresholds out of reach, on one side and on the other, and without its patience.
fn spoiled(alert: &str) -> Vec<String> {
    let start = alert.find("    expr:").unwrap();
    let end = start + alert[start..].find("\n    labels:").unwrap();
    let mut spoiled = Vec::new();
    for (operator, instead) in [(" > ", " > "), (" < ", " < "), (" == ", " >= ")] {
        for (place, _) in alert[start..end].match_indices(operator) {
            let (before, rest) = (&alert[..start + place], &alert[start + place + operator.len()..]);
            let operand = rest.split([' ', ')', '\n']).next().unwrap();
            let after = &rest[operand.len()..];
            spoiled.extend(["- 1e99", "+ 1e99"].map(|far| format!("{before}{instead}({operand} {far}){after}")));
        }
    }
    assert!(!spoiled.is_empty(), "{alert}");
    let patience = alert.lines().find(|line| line.starts_with("    for: "));
    spoiled.extend(patience.map(|line| alert.replace(line, "    for: 0s")));
    spoiled
}

/// So that a threshold which nobody tests is found.
#[test]
fn the_tests_of_an_alert_see_each_of_its_thresholds_spoiled() {
    let directory = tempfile::tempdir().unwrap();
    let (rules, tests) = (directory.path().join("rules.yml"), directory.path().join("tests.yml"));
    let (head, alerts) = alerts();
    let groups: Vec<&str> = TESTS.split("\n- name: ").collect();
    for (name, alert) in &alerts {
        let own = groups[1..].iter().filter(|group| group.starts_with(name)).map(|group| format!("\n- name: {group}"));
        let own: String = own.collect();
        let of_rules = groups[0].find("rule_files").unwrap();
        let text =
            format!("{}{own}", &groups[0][of_rules..]).replace("../../deploy/prometheus/alerts.yml", "rules.yml");
        fs::write(&tests, text).unwrap();
        for bad in spoiled(alert) {
            let others =
                alerts.iter().filter(|(other, _)| other != name).map(|(_, other)| format!("  - alert: {other}"));
            fs::write(&rules, format!("{head}  - alert: {bad}\n{}", others.collect::<String>())).unwrap();
            let (is_right, said) = promtool(&["test", "rules", tests.to_str().unwrap()], "");
            assert!(!is_right && said.contains("got:"), "no test of {name} fails with\n{bad}\n{said}");
        }
    }
}

/// The names of metrics in an expression.
fn metrics_of(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("cxsink_") || word.starts_with("process_"))
}

#[test]
fn an_alert_says_what_to_do_next() {
    let (metrics, page) =
        ["docs/metrics.md", "docs/operations.md"].map(|path| fs::read_to_string(in_project(path)).unwrap()).into();
    let directory = tempfile::tempdir().unwrap();
    let mut commands = BTreeSet::new();
    for (name, alert) in alerts().1 {
        let words = alert.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let (_, expression) = words.split_once("expr: ").unwrap();
        let (expression, texts) = expression.split_once("labels: ").unwrap();
        assert!(metrics_of(expression).all(|metric| metrics.contains(&format!("| `{metric}` |"))), "{expression}");
        assert!(
            ["critical", "warning"].iter().any(|level| texts.starts_with(&format!("severity: {level} "))),
            "{name}"
        );
        let (_, texts) = texts.split_once("summary: ").unwrap();
        let (summary, texts) = texts.split_once(" description: >- ").unwrap();
        let (description, link) = texts.split_once(" runbook_url: ").unwrap();
        assert!(summary.ends_with('.') && summary.contains("$labels"), "{name}: {summary}");
        let link = link.split(' ').next().unwrap();
        assert_eq!(link, format!("docs/operations.md#{}", name.to_lowercase()), "{name}");
        assert!(page.contains(&format!("\n### {name}\n")), "docs/operations.md has no section {name}");
        let quoted = description.split('`').skip(1).step_by(2);
        let own: Vec<&str> = quoted.filter(|command| command.starts_with("cxsink ")).collect();
        assert!(description.contains("Run `") && !own.is_empty(), "{name}: {description}");
        commands.extend(own.into_iter().map(str::to_owned));
    }
    for command in commands {
        let arguments = command.split(' ').skip(1).chain(["--help"]);
        let (code, _, err) = output(cxsink(directory.path()).args(arguments));
        assert_eq!(code, 0, "{command}: {err}");
    }
}
