//! What those who watch a sink see: words, counters with theirs, recent errors and dead letters by reason, and the last minutes as series.

mod accounting;
mod errors;
mod history;
mod numbers;
mod recent;
mod rejections;
mod words;

pub(crate) use accounting::Counted;
pub(crate) use errors::RecentError;
pub(crate) use history::{History, Reading, Series};
pub(crate) use numbers::{count, counted, totals};
pub(crate) use recent::Recent;
pub(crate) use rejections::Rejections;
pub(crate) use words::{Scene, Tone, Words};
