//! The metrics as text, by the `prometheus-client` crate.

use std::fmt;

use prometheus_client::collector::Collector;
#[cfg(any(feature = "cli", test))]
use prometheus_client::encoding::text as open_metrics;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

pub(crate) use crate::report::metrics::table::Snapshot;
use crate::report::metrics::table::{Kind, Metric, Sample, Value, table};

/// A format of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus' text format, version 0.0.4.
    Prometheus,
    /// `OpenMetrics` 1.0.
    #[cfg(any(feature = "cli", test))]
    OpenMetrics,
}

/// A metric and its values.
#[derive(Debug)]
struct Family {
    /// Without the suffix that the format adds.
    name: String,
    help: String,
    kind: Kind,
    label: Option<&'static str>,
    samples: Vec<OfStream>,
}

/// A value of one sink.
#[derive(Debug)]
struct OfStream {
    /// `None` where there is one sink, and for what all sinks of a process have together.
    stream: Option<String>,
    sample: Sample,
}

#[derive(Debug)]
struct Families(Vec<Family>);

/// The label of the name of a stream.
const STREAM: &str = "stream";

type NoLabels = [(&'static str, &'static str); 0];

/// The text of the metrics that have a value.
pub(crate) fn text_of(snapshot: &Snapshot, format: Format) -> String {
    text(&[(None, snapshot)], format)
}

/// The text of the metrics of several sinks: each metric once, with a label for the name of the stream.
pub(crate) fn text_of_several(snapshots: &[(String, Snapshot)], format: Format) -> String {
    let snapshots: Vec<_> = snapshots.iter().map(|(stream, snapshot)| (Some(stream.as_str()), snapshot)).collect();
    text(&snapshots, format)
}

fn text(snapshots: &[(Option<&str>, &Snapshot)], format: Format) -> String {
    let families = table().into_iter().map(|metric| Family {
        samples: samples(&metric, snapshots),
        name: ["_total", "_info"]
            .into_iter()
            .find_map(|suffix| metric.name.strip_suffix(suffix))
            .map_or_else(|| metric.name.clone(), str::to_owned),
        help: metric.help,
        kind: metric.kind,
        label: metric.label,
    });
    let families = Families(families.filter(|family| !family.samples.is_empty()).collect());
    let mut registry = Registry::default();
    registry.register_collector(Box::new(families));
    let mut written = String::new();
    let outcome = match format {
        Format::Prometheus => prometheus_text::encode(&mut written, &registry),
        #[cfg(any(feature = "cli", test))]
        Format::OpenMetrics => open_metrics::encode(&mut written, &registry),
    };
    // A string takes any text.
    debug_assert!(outcome.is_ok());
    written
}

fn samples(metric: &Metric, snapshots: &[(Option<&str>, &Snapshot)]) -> Vec<OfStream> {
    let of_one = |(stream, snapshot): &(Option<&str>, &Snapshot)| {
        let stream = stream.filter(|_| !metric.is_of_the_process()).map(str::to_owned);
        let of_stream = move |sample| OfStream { stream: stream.clone(), sample };
        metric.values(snapshot).into_iter().map(of_stream).collect::<Vec<_>>()
    };
    let sinks = if metric.is_of_the_process() { 1 } else { snapshots.len() };
    snapshots.iter().take(sinks).flat_map(of_one).collect()
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in &self.0 {
            let metric_type = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
                Kind::Info => MetricType::Info,
            };
            let mut metric = encoder.encode_descriptor(&family.name, &family.help, None, metric_type)?;
            for sample in &family.samples {
                family.encode(sample, &mut metric)?;
            }
        }
        Ok(())
    }
}

impl Family {
    fn encode(&self, of: &OfStream, metric: &mut MetricEncoder<'_>) -> fmt::Result {
        let stream = of.stream.as_deref().map(|stream| (STREAM, stream));
        let label = self.label.zip(of.sample.label.as_deref());
        let labels: Vec<(&str, &str)> = stream.into_iter().chain(label).collect();
        match self.kind {
            Kind::Info => metric.encode_info(&labels),
            _ if labels.is_empty() => self.encode_value(&of.sample.value, metric),
            _ => self.encode_value(&of.sample.value, &mut metric.encode_family(&labels)?),
        }
    }

    fn encode_value(&self, value: &Value, metric: &mut MetricEncoder<'_>) -> fmt::Result {
        match (value, self.kind) {
            (Value::Count(count), Kind::Counter) => metric.encode_counter::<NoLabels, _, u64>(count, None),
            (Value::Number(number), Kind::Counter) => metric.encode_counter::<NoLabels, _, u64>(number, None),
            (Value::Count(count), _) => metric.encode_gauge(count),
            (Value::Number(number), _) => metric.encode_gauge(number),
            (Value::Distribution(of), _) => metric.encode_histogram::<NoLabels>(of.sum, of.count, &of.buckets, None),
        }
    }
}

#[cfg(test)]
#[path = "tests/text.rs"]
mod tests;
