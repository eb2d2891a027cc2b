//! Several streams in one table.

use std::time::Duration;

use comfy_table::CellAlignment::{Left, Right};

use crate::cli::format::{count, duration, list};

/// A stream in the table. What is not known is left blank.
#[derive(Debug, Default)]
pub(in crate::cli) struct Row {
    pub(in crate::cli) name: String,
    pub(in crate::cli) state: String,
    /// Events a second, in and out.
    pub(in crate::cli) rates: Option<[String; 2]>,
    pub(in crate::cli) stored: Option<u64>,
    pub(in crate::cli) pending: Option<u64>,
    /// The age of the oldest pending event.
    pub(in crate::cli) oldest: Option<Duration>,
    pub(in crate::cli) dead_letters: Option<u64>,
    /// What else there is to say.
    pub(in crate::cli) note: String,
}

/// One line for each stream, and one for all together if there are several.
pub(in crate::cli) fn overview(rows: &[Row]) -> String {
    let number = |number: Option<u64>| number.map_or_else(String::new, |number| count(number).to_string());
    let cells = |row: &Row| {
        let [rate_in, rate_out] = row.rates.clone().unwrap_or_default();
        let oldest = row.oldest.filter(|age| !age.is_zero()).map_or_else(String::new, duration);
        [
            row.name.clone(),
            row.state.clone(),
            rate_in,
            rate_out,
            number(row.stored),
            number(row.pending),
            oldest,
            number(row.dead_letters),
            row.note.clone(),
        ]
    };
    let all = (rows.len() > 1).then(|| cells(&together(rows)));
    let rows_of_cells: Vec<_> = rows.iter().map(cells).chain(all).collect();
    if rows.iter().any(|row| row.rates.is_some()) {
        let head = [
            ("stream", Left),
            ("state", Left),
            ("in/s", Right),
            ("out/s", Right),
            ("stored", Right),
            ("pending", Right),
            ("oldest", Right),
            ("dead letters", Right),
            ("", Left),
        ];
        return list(head, rows_of_cells);
    }
    let head = [
        ("stream", Left),
        ("state", Left),
        ("stored", Right),
        ("pending", Right),
        ("oldest", Right),
        ("dead letters", Right),
        ("", Left),
    ];
    let without_rates = |[name, state, _, _, rest @ ..]: [String; 9]| {
        let [stored, pending, oldest, dead_letters, note] = rest;
        [name, state, stored, pending, oldest, dead_letters, note]
    };
    list(head, rows_of_cells.into_iter().map(without_rates))
}

fn together(rows: &[Row]) -> Row {
    let sum = |number: fn(&Row) -> Option<u64>| {
        let known: Vec<u64> = rows.iter().filter_map(number).collect();
        (!known.is_empty()).then(|| known.iter().sum())
    };
    Row {
        name: format!("all {}", rows.len()),
        stored: sum(|row| row.stored),
        pending: sum(|row| row.pending),
        oldest: rows.iter().filter_map(|row| row.oldest).max(),
        dead_letters: sum(|row| row.dead_letters),
        ..Row::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stream_has_a_line_and_all_have_one_together() {
        let row = |name: &str, pending, note: &str| Row {
            name: name.into(),
            state: "running".into(),
            stored: Some(1000),
            pending: Some(pending),
            dead_letters: Some(1),
            note: note.into(),
            ..Row::default()
        };
        let rows = [row("sales", 0, ""), Row { stored: None, ..row("support", 7, "the database is away") }];
        let text = overview(&rows);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_ascii_whitespace().collect()).collect();
        assert_eq!(lines[0], ["stream", "state", "stored", "pending", "oldest", "dead", "letters"]);
        assert_eq!(lines[1], ["sales", "running", "1,000", "0", "1"]);
        assert_eq!(lines[2], ["support", "running", "7", "1", "the", "database", "is", "away"]);
        assert_eq!(lines[3], ["all", "2", "1,000", "7", "2"]);
        assert!(overview(&[Row { rates: Some(["5".into(), "6".into()]), ..row("sales", 0, "") }]).contains("out/s"));
        assert_eq!(overview(&rows[..1]).lines().count(), 2, "one alone has no line for all");
    }
}
