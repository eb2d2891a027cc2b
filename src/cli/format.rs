//! Numbers and tables for people.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "for the eye: more than 15 digits are not shown"
)]

use std::fmt::Write as _;

use std::time::Duration;

use crate::Stats;

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Microseconds as `0.35 ms` or `1.20 s`.
pub(super) fn time(micros: u64) -> String {
    if micros < 1_000_000 { format!("{:.2} ms", micros as f64 / 1e3) } else { format!("{:.2} s", micros as f64 / 1e6) }
}

/// Events a second.
pub(super) fn rate(events: u64, elapsed: Duration) -> String {
    grouped((events as f64 / elapsed.as_secs_f64().max(1e-9)) as u64)
}

/// The numbers of a run, one a line.
pub(super) fn summary(stats: &Stats, elapsed: Duration) -> String {
    let mut lines = vec![("received", grouped(stats.received))];
    let mut optional = |name, count| {
        if count > 0 {
            lines.push((name, grouped(count)));
        }
    };
    optional("recovered", stats.recovered);
    optional("replayed", stats.replayed);
    lines.push(("inserted", grouped(stats.inserted)));
    lines.push(("updated", grouped(stats.updated)));
    let mut optional = |name, count| {
        if count > 0 {
            lines.push((name, grouped(count)));
        }
    };
    optional("unchanged", stats.unchanged);
    optional("confirmed", stats.confirmed);
    lines.push(("collapsed", grouped(stats.collapsed)));
    lines.push(("dead letters", grouped(stats.dead_lettered)));
    lines.push(("still waiting", grouped(stats.pending)));
    lines.push(("reconnects", grouped(stats.reconnects)));
    let applied = (stats.received + stats.recovered + stats.replayed).saturating_sub(stats.pending);
    lines.push(("events/s", rate(applied, elapsed)));
    lines
        .push(("receipt to commit", format!("p50 {}, p99 {}", time(stats.latency.p50_us), time(stats.latency.p99_us))));
    lines.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "  {name:<18} {value}");
        text
    })
}

/// The columns of the terminal that the standard output is, if it is one.
pub(super) fn terminal_width() -> Option<usize> {
    #[cfg(unix)]
    let width = rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    #[cfg(not(unix))]
    let width = None;
    width.filter(|&width| width > 0)
}

/// A table with a line under its head; long cells are cut, and columns that do not fit into `width` are left out.
pub(super) fn table(head: &[String], rows: &[Vec<Option<String>>], width: Option<usize>) -> String {
    const WIDTH_MAX: usize = 24;
    const LEFT_OUT: &str = "  …";
    let cell = |text: &str| {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if text.chars().count() <= WIDTH_MAX { text } else { text.chars().take(WIDTH_MAX - 1).chain(['…']).collect() }
    };
    let mut lines: Vec<Vec<String>> = vec![head.iter().map(|name| cell(name)).collect()];
    lines.extend(rows.iter().map(|row| row.iter().map(|value| cell(value.as_deref().unwrap_or("·"))).collect()));
    let mut widths: Vec<usize> = (0..head.len())
        .map(|column| {
            lines.iter().filter_map(|line| line.get(column)).map(|text| text.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let taken = |widths: &[usize]| widths.iter().map(|width| width + 2).sum::<usize>();
    let mut left_out = "";
    while width.is_some_and(|width| taken(&widths) + left_out.chars().count() > width) && widths.len() > 1 {
        widths.pop();
        left_out = LEFT_OUT;
    }
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let end = if number == 0 { left_out } else { "" };
        let _ = writeln!(text, "  {}", format!("{}{end}", cells.join("  ")).trim_end());
        if number == 0 {
            let rule: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
            let _ = writeln!(text, "  {}", rule.join("  "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn columns_line_up() {
        let rows = [vec![Some("1".into()), None], vec![Some("22".into()), Some("a\nb".into())]];
        let head = ["id".into(), "name".into()];
        let whole = "  id  name\n  ──  ────\n  1   ·\n  22  a b\n";
        assert_eq!(table(&head, &rows, None), whole);
        assert_eq!(table(&head, &rows, Some(10)), whole);
        assert_eq!(table(&head, &rows, Some(9)), "  id  …\n  ──\n  1\n  22\n");
        assert_eq!(table(&head, &rows, Some(1)), "  id  …\n  ──\n  1\n  22\n", "one is always shown");
    }
}
