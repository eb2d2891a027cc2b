//! docs/metrics.md, made from the table. `CXSINK_UPDATE=1` (or `make reference`) writes it.

use std::fmt::Write as _;

use crate::report::metrics::table::{Kind, table};

const INTRODUCTION: &str = "# Metrics

<!-- Made from src/report/metrics/table.rs by `make reference`. -->

The command line's `run` serves them at `/metrics` of the address in `http.listen`; an application gets the same text from `sink.metrics()` (Rust,
Python) or `cxsink_sink_metrics` (C), without the metrics of its process, which it has already. [docs/operations.md](operations.md) shows
the way from the installation to the first scrape.

Counters start at 0 with each process, as Prometheus expects. The accounting of the events is closed: whenever no batch is in progress,
`cxsink_events_received_total + cxsink_events_recovered + cxsink_events_replayed_total` equals
`sum(cxsink_events_total) + cxsink_spool_events`. A metric whose value is not known, such as the time of the last event before the first
one, is left out.

| Metric | Kind | Label | Meaning |
|---|---|---|---|
";

fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    for metric in table() {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge | Kind::Info => "gauge",
            Kind::Histogram => "histogram",
        };
        let label = metric.label.map_or_else(String::new, |label| format!("`{label}`"));
        let _ = writeln!(page, "| `{}` | {kind} | {label} | {} |", metric.name, metric.help.replace('|', "\\|"));
    }
    page
}

#[test]
fn the_page_of_the_metrics_is_the_committed_file() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    if std::env::var_os("CXSINK_UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(path, reference()).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == reference(), "docs/metrics.md is stale; `make reference` writes it");
}
