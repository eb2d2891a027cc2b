//! The official JSON Schema test suite (`tests/schema_suite`), run on the path of an event: the schema of `schema.inline`, and the bytes of
//! the event. docs/schema.md lists every case that ends in another way, with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Result;
use crate::config::{AdditionalProperties, SchemaConfig};
use crate::rows::schema::Schema;

/// The drafts, and what declares them.
const DRAFTS: [(&str, &str); 5] = [
    ("draft4", "http://json-schema.org/draft-04/schema#"),
    ("draft6", "http://json-schema.org/draft-06/schema#"),
    ("draft7", "http://json-schema.org/draft-07/schema#"),
    ("draft2019-09", "https://json-schema.org/draft/2019-09/schema"),
    ("draft2020-12", "https://json-schema.org/draft/2020-12/schema"),
];

#[derive(Deserialize)]
pub(in crate::rows::schema) struct Group<'a> {
    pub(in crate::rows::schema) file: String,
    description: String,
    #[serde(borrow)]
    schema: &'a RawValue,
    #[serde(borrow)]
    pub(in crate::rows::schema) tests: Vec<Case<'a>>,
}

#[derive(Deserialize)]
pub(in crate::rows::schema) struct Case<'a> {
    description: String,
    #[serde(borrow)]
    pub(in crate::rows::schema) data: &'a RawValue,
    pub(in crate::rows::schema) valid: bool,
}

/// What becomes of a case.
fn outcome(schema: &Result<Schema>, case: &Case<'_>) -> &'static str {
    match schema.as_ref().map(|schema| schema.parse(case.data.get().as_bytes())) {
        Err(_) => "refuses the schema",
        Ok(Ok(_)) => "accepts",
        Ok(Err(error)) => match error.violations() {
            [] => "does not read the event",
            [violation, ..] if violation.keyword == "budget" => "gives up",
            _ => "rejects",
        },
    }
}

/// The reason why a case ends in another way, as a heading of docs/schema.md.
fn reason(group: &Group<'_>, outcome: &str) -> &'static str {
    match (group.file.as_str(), outcome) {
        (_, "refuses the schema") if group.schema.get().contains("http://localhost:1234/") => OTHER_DOCUMENTS,
        ("format.json", "rejects") => FORMATS_ARE_ASSERTED,
        ("optional/format/idn-hostname.json" | "optional/format/idn-email.json", "accepts") => UNKNOWN_FORMATS,
        _ => panic!("cxsink {outcome} in {}, {}: for no known reason", group.file, group.description),
    }
}

const OTHER_DOCUMENTS: &str = "Other documents are never read";
const FORMATS_ARE_ASSERTED: &str = "Formats are asserted in every draft";
const UNKNOWN_FORMATS: &str = "Formats that check nothing";

/// The schema as its author would write it: with its draft.
fn with_draft(schema: &str, declaration: &str) -> String {
    match schema.strip_prefix('{') {
        Some("}") => format!(r#"{{"$schema":"{declaration}"}}"#),
        Some(members) if !schema.contains("\"$schema\"") => format!(r#"{{"$schema":"{declaration}",{members}"#),
        _ => schema.to_owned(),
    }
}

fn compile(text: &str, additional_properties: AdditionalProperties) -> Result<Schema> {
    let config = SchemaConfig { inline: Some(text.to_owned()), additional_properties, ..SchemaConfig::default() };
    Schema::compile(&config, 1 << 20)
}

/// Calls `f` with each group of each draft, and its schema with the draft.
pub(in crate::rows::schema) fn for_each_group(mut f: impl FnMut(&'static str, &Group<'_>, &str)) {
    for (draft, declaration) in DRAFTS {
        let path = project().join(format!("tests/schema_suite/{draft}.jsonl"));
        for line in fs::read_to_string(path).unwrap().lines() {
            let group: Group<'_> = serde_json::from_str(line).unwrap();
            f(draft, &group, &with_draft(group.schema.get(), declaration));
        }
    }
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The cases that end in another way: by reason, file, group and outcome the drafts of each case.
#[derive(Default)]
struct Differences(BTreeMap<[String; 4], BTreeMap<String, BTreeSet<&'static str>>>);

impl Differences {
    fn note(&mut self, draft: &'static str, group: &Group<'_>, case: &str, outcome: &str) {
        let place = [reason(group, outcome), &group.file, &group.description, outcome].map(str::to_owned);
        self.0.entry(place).or_default().entry(case.to_owned()).or_default().insert(draft);
    }

    /// The tables of docs/schema.md.
    fn tables(&self) -> String {
        let mut text = String::new();
        let mut heading = "";
        for ([reason, file, group, outcome], cases) in &self.0 {
            if reason != heading {
                heading = reason;
                let _ = write!(text, "\n### {reason}\n\n| File | Case | Drafts | cxsink |\n|---|---|---|---|\n");
            }
            let mut by_drafts = BTreeMap::<_, Vec<_>>::new();
            for (case, drafts) in cases {
                by_drafts.entry(drafts).or_default().push(case.as_str());
            }
            for (drafts, cases) in by_drafts {
                let drafts: Vec<_> = drafts.iter().map(|draft| draft.trim_start_matches("draft")).collect();
                let cases = format!("{group}: {}", cases.join("; ")).replace('|', "\\|");
                let _ = writeln!(text, "| `{file}` | {cases} | {} | {outcome} |", drafts.join(", "));
            }
        }
        text
    }
}

#[test]
fn the_cases_that_end_in_another_way_than_in_the_official_suite_are_those_of_the_document() {
    let mut differences = Differences::default();
    let (mut total, mut different) = (0, 0);
    for_each_group(|draft, group, text| {
        let schema = compile(text, AdditionalProperties::Reject);
        for case in &group.tests {
            total += 1;
            let outcome = outcome(&schema, case);
            if outcome != if case.valid { "accepts" } else { "rejects" } {
                different += 1;
                differences.note(draft, group, &case.description, outcome);
            }
        }
    });
    let expected = format!("{different} of {total} cases end in another way.\n{}", differences.tables());

    let path = project().join("docs/schema.md");
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (tables, after) = rest.split_once(END).unwrap();
    if std::env::var_os("CXSINK_UPDATE").is_some_and(|value| value == "1") {
        fs::write(path, format!("{before}{BEGIN}\n{expected}\n{END}{after}")).unwrap();
        return;
    }
    let [now, listed] = [expected.as_str(), tables].map(|text| text.trim().lines().collect::<BTreeSet<_>>());
    let [new, gone] = [&now - &listed, &listed - &now];
    assert!(new.is_empty() && gone.is_empty(), "not in docs/schema.md: {new:#?}\nonly there: {gone:#?}");
}

const BEGIN: &str = "<!-- suite -->";
const END: &str = "<!-- end of suite -->";

#[test]
fn keeping_unknown_members_refuses_nothing_that_was_accepted() {
    let mut loosened = 0;
    for_each_group(|draft, group, text| {
        let (Ok(strict), Ok(loose)) =
            (compile(text, AdditionalProperties::Reject), compile(text, AdditionalProperties::Keep))
        else {
            return;
        };
        for case in &group.tests {
            let [is, was] = [&loose, &strict].map(|schema| schema.parse(case.data.get().as_bytes()).is_ok());
            assert!(is || !was, "{draft}, {}, {}: {}", group.file, group.description, case.description);
            loosened += usize::from(is && !was);
        }
    });
    assert!(loosened > 100, "only {loosened} cases show a difference");
}
