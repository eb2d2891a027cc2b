//! `dead-letters summary`: the reasons, how often each, and what would accept the events.

use crate::cli::format::{count, counted, utc};
use crate::cli::print::print_out;
use crate::dead_letters::{Summary, SummaryGroup};
use crate::error::foreign_text::{MESSAGE_CHARS_MAX, NAME_CHARS_MAX, one_line};
use crate::{Config, Result};

pub(super) fn print(config: &Config, shows_values: bool, as_json: bool) -> Result<()> {
    let summary = crate::dead_letters::summary(config, shows_values)?;
    if as_json {
        print_out!("{}", summary.to_json());
    } else {
        print_out!("{}", describe(&summary).join("\n"));
    }
    Ok(())
}

fn describe(summary: &Summary) -> Vec<String> {
    if summary.dead_letters == 0 {
        return vec!["no dead letters that were not replayed".into()];
    }
    let mut lines: Vec<String> = summary.groups.iter().flat_map(describe_group).collect();
    if summary.accepted_now > 0 {
        let accepted = counted(summary.accepted_now, "dead letter");
        lines.push(format!("{accepted} the schema accepts now"));
        lines.push("  to do    cxsink dead-letters replay".into());
        lines.push(String::new());
    }
    lines.push(format!(
        "{} in {}; one with several reasons is in several groups",
        counted(summary.dead_letters, "dead letter"),
        counted(summary.groups.len() as u64, "group")
    ));
    if summary.ungrouped > 0 {
        lines.push(format!("{} have reasons beside these groups", count(summary.ungrouped)));
    }
    if summary.groups.iter().any(|group| !group.patch.is_empty()) {
        lines.push(
            "the changes are JSON Patch (RFC 6902) for the schema; change it, look at the summary again, then replay"
                .into(),
        );
    }
    lines
}

fn describe_group(group: &SummaryGroup) -> Vec<String> {
    let place = group.pointer.as_deref().map(|pointer| if pointer.is_empty() { "(event)" } else { pointer });
    let names = [Some(group.stage.name()), place, group.keyword.as_deref(), group.sqlstate.as_deref()];
    let names = names.into_iter().flatten().map(|name| one_line(name, NAME_CHARS_MAX)).collect::<Vec<_>>().join("  ");
    let mut lines = vec![
        format!("{}  {names}", counted(group.dead_letters, "dead letter")),
        format!("  reason   {}", one_line(&group.reason, MESSAGE_CHARS_MAX)),
    ];
    let details = [("column", &group.column), ("rule", &group.constraint)];
    for (name, value) in details {
        if let Some(value) = value {
            lines.push(format!("  {name:<8} {}", one_line(value, NAME_CHARS_MAX)));
        }
    }
    lines.push(format!("  from     {} to {}", utc(group.first_at), utc(group.last_at)));
    lines.push(format!("  to see   cxsink dead-letters show {}", group.first_offset));
    lines.push(format!("  to do    {}", one_line(&group.advice, MESSAGE_CHARS_MAX)));
    if !group.patch.is_empty() {
        // Whole: it is there to be copied.
        lines.push(format!("  change   [{}]", one_line(&group.patch.join(", "), usize::MAX)));
    }
    lines.push(String::new());
    lines
}
