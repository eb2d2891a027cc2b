//! Numbers, times, tables and colours for people.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::{Duration, SystemTime};

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Row, Table, TableStyle, Width};
use indicatif::HumanCount;

use crate::error::foreign_text::{MESSAGE_CHARS_MAX, one_line};
use crate::report::watch::Counted;
pub(super) use crate::report::watch::{Tone, count, counted};
use crate::stats::{Counter, Stats};
use crate::time::micros;

/// A duration as `0.35 ms` or `1.20 s`.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 1.0 { format!("{:.2} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

/// A time to the second: `2026-11-22T16:00:00Z`.
pub(super) fn utc(time: SystemTime) -> String {
    format!("{}Z", &crate::time::timestamp::format_micros(micros::from_time(time))[..19])
}

/// Events per second.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a rough rate"
)]
pub(super) fn rate(events: u64, elapsed: Duration) -> HumanCount {
    count((events as f64 / elapsed.as_secs_f64().max(1e-9)) as u64)
}

/// In this order.
const SUMMED_UP: [Counter; 14] = [
    Counter::Messages,
    Counter::Ignored,
    Counter::Received,
    Counter::Recovered,
    Counter::Replayed,
    Counter::Inserted,
    Counter::Updated,
    Counter::Unchanged,
    Counter::Confirmed,
    Counter::Coalesced,
    Counter::Superseded,
    Counter::DeadLettered,
    Counter::Pending,
    Counter::Reconnects,
];

/// The counters of a run, one a line; those that are rarely needed only when they are not 0.
pub(super) fn summary(stats: &Stats, elapsed: Duration) -> String {
    // With one event in each message, the two counters say nothing new.
    let is_plain = stats.messages == stats.received && stats.ignored == 0;
    let is_shown = |counter| match counter {
        Counter::Received
        | Counter::Inserted
        | Counter::Updated
        | Counter::Coalesced
        | Counter::DeadLettered
        | Counter::Pending
        | Counter::Reconnects => true,
        Counter::Messages => !is_plain && stats.messages > 0,
        other => stats.get(other) > 0,
    };
    let mut text = String::new();
    for counter in SUMMED_UP.into_iter().filter(|counter| is_shown(*counter)) {
        let Counted { name, words, count: number, .. } = Counted::new(counter, stats);
        let words = if words.is_empty() || number == 0 { String::new() } else { format!("  ({words})") };
        let _ = writeln!(text, "  {name:<18} {}{words}", count(number));
    }
    let _ = writeln!(text, "  {:<18} {}", "events/s", rate(stats.finished(), elapsed));
    if stats.latency.max > Duration::ZERO {
        let (p50, p99) = (duration(stats.latency.p50), duration(stats.latency.p99));
        let _ = writeln!(text, "  {:<18} p50 {p50}, p99 {p99}  (from receipt to commit)", "latency");
    }
    text
}

/// Columns of the terminal that the standard output is, if it is one.
pub(super) fn terminal_width() -> Option<u16> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0)
}

/// Spaces before each column.
const GAP: u16 = 2;

/// A list with a head: one line for each row, or, on a terminal, as many as its longest cell needs.
pub(super) fn list<const N: usize>(
    head: [(&str, CellAlignment); N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = new_table(TableStyle::new(), head.map(|(name, _)| name));
    table.add_rows(rows.into_iter().map(|row| row.map(|cell| one_line(&cell, MESSAGE_CHARS_MAX).into_owned())));
    for (column, (_, alignment)) in table.column_iter_mut().zip(head) {
        column.set_cell_alignment(alignment);
    }
    if let Some(width) = terminal_width() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.trim_fmt()
}

/// Rows of a database table: one line each, with long cells cut. Columns beyond `width` are left out.
pub(super) fn rows(head: &[String], rows: &[Vec<Option<String>>], width: Option<u16>) -> String {
    const CELL_MAX: u16 = 24;
    let style = TableStyle::new().header_separator(LineStyle::none().fill('─'));
    let mut table = new_table(style, head.iter().map(|name| one_line(name, MESSAGE_CHARS_MAX).into_owned()));
    table.set_truncation_indicator("…");
    for row in rows {
        let cell = |value: &Option<String>| one_line(value.as_deref().unwrap_or("·"), MESSAGE_CHARS_MAX).into_owned();
        let mut row = Row::from(row.iter().map(cell));
        row.max_height(1);
        table.add_row(row);
    }
    let widths = table.column_max_content_widths();
    let (mut end, mut left_out) = (0, 0_u64);
    for (index, (column, content)) in table.column_iter_mut().zip(widths).enumerate() {
        let upper = content.min(CELL_MAX) + GAP;
        end += upper;
        let is_left_out = index > 0 && width.is_some_and(|width| end > width);
        left_out += u64::from(is_left_out);
        column.set_constraint(if is_left_out {
            ColumnConstraint::Hidden
        } else {
            ColumnConstraint::UpperBoundary(Width::Fixed(upper))
        });
    }
    let mut text = table.trim_fmt();
    if left_out > 0 {
        let _ = write!(text, "\n  (and {})", counted(left_out, "more column"));
    }
    text
}

fn new_table(style: TableStyle, head: impl Into<Row>) -> Table {
    let mut table = Table::new();
    table.load_style(style).set_header(head);
    for column in table.column_iter_mut() {
        column.set_padding((GAP, 0));
    }
    table
}

/// The text in the colour of its tone, where a stream shows colours; see [`shows_colours`].
pub(super) fn toned(text: &str, tone: Option<Tone>, shows_colours: bool) -> Cow<'_, str> {
    // Select Graphic Rendition (ECMA-48).
    let code = match tone.filter(|_| shows_colours) {
        None => return text.into(),
        Some(Tone::Good) => 32,
        Some(Tone::Warning) => 33,
        Some(Tone::Bad) => 31,
        Some(Tone::Faint) => 2,
    };
    format!("\x1b[{code}m{text}\x1b[0m").into()
}

/// Whether a stream shows colours: a terminal does, unless the user wants none (<https://no-color.org>) or it has none.
pub(super) fn shows_colours(stream: &impl IsTerminal) -> bool {
    let is_set = |name, refused: fn(&OsStr) -> bool| std::env::var_os(name).is_some_and(|value| refused(&value));
    stream.is_terminal() && !is_set("NO_COLOR", |value| !value.is_empty()) && !is_set("TERM", |value| value == "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_grouped_and_its_noun_in_the_plural() {
        let texts = [0, 1, 999, 1000, 1_234_567].map(|number| counted(number, "row"));
        assert_eq!(texts, ["0 rows", "1 row", "999 rows", "1,000 rows", "1,234,567 rows"]);
    }

    #[test]
    fn messages_are_summed_up_where_they_are_not_the_events() {
        let summary_of = |messages, ignored| {
            let stats = Stats { received: 7, messages, ignored, ..Stats::default() };
            summary(&stats, Duration::from_secs(1))
        };
        assert!(!summary_of(7, 0).contains("messages"));
        for text in [summary_of(9, 2), summary_of(4, 2)] {
            assert!(text.contains("ignored            2  (messages without an event)\n"), "{text}");
        }
        let of_events_alone = summary_of(3, 0);
        assert!(of_events_alone.starts_with("  messages           3\n  received           7\n"), "{of_events_alone}");
    }

    #[test]
    fn columns_are_aligned() {
        let head = [("offset", CellAlignment::Right), ("reason", CellAlignment::Left)];
        let found = list(head, [["1".into(), "why".into()], ["22".into(), "a\nb\u{1b}[31m".into()]]);
        assert_eq!(found, "  offset  reason\n       1  why\n      22  a\\nb\\u{1b}[31m");
    }

    #[test]
    fn columns_that_do_not_fit_are_left_out() {
        let values = [vec![Some("1".into()), None], vec![Some("22".into()), Some("a\nb".into())]];
        let head = ["id".into(), "name".into()];
        let whole = "  id  name\n──────────\n  1   ·\n  22  a\\nb";
        assert_eq!(rows(&head, &values, None), whole);
        assert_eq!(rows(&head, &values, Some(10)), whole);
        let narrow = "  id\n────\n  1\n  22\n  (and 1 more column)";
        assert_eq!(rows(&head, &values, Some(9)), narrow);
        assert_eq!(rows(&head, &values, Some(1)), narrow, "the first column is always shown");
        let long = [vec![Some("x".repeat(100))]];
        assert_eq!(rows(&head[..1], &long, None).lines().last(), Some(&*format!("  {}…", "x".repeat(23))));
    }
}
