//! Events from the application, validated before they are accepted.

use std::time::{Duration, Instant};

use super::handle::{ROOM_CHECK, Sink};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Burst;
use crate::pipeline::event_rules::EventRules;
use crate::report::stats::Counter;
use crate::spool::Appended;

impl Sink {
    /// Accepts an event from the application. It is validated at once, and then takes the same path as an event of the stream. It is an
    /// event, not a message: `[event]` does not apply.
    ///
    /// Returns when the event is in the spool; `spool.sync` sets what it survives. Blocks while the spool is full.
    ///
    /// # Errors
    /// [`Json`](crate::ErrorKind::Json) or [`Schema`](crate::ErrorKind::Schema) for an event that is not valid; it is not kept.
    /// [`State`](crate::ErrorKind::State) when the sink is stopping, or the error that ended it; [`Spool`](crate::ErrorKind::Spool) if the file cannot be written;
    /// [`Forked`](crate::ErrorKind::Forked) in a forked child.
    pub fn ingest(&self, event: &[u8]) -> Result<()> {
        self.check_process()?;
        let mut burst = Burst::default();
        check_and_push(&self.0.engine.rules.now(), event, &mut burst)?;
        self.append(&burst, None)
    }

    /// Accepts many events, each as [`ingest`](Self::ingest) does, but many in one transaction of the spool. Returns their number.
    ///
    /// `timeout` limits the wait for room in a full spool; `None` waits without limit.
    ///
    /// ```
    /// # fn main() -> cxsink::Result<()> {
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let mut config = cxsink::Config::default();
    /// # config.set("spool.path", &directory.path().join("spool.db").display().to_string())?;
    /// # config.set("destination.url", "sqlite::memory:")?;
    /// # let sink = cxsink::Sink::open(&config)?;
    /// let good = r#"{"interactionId":"i-1","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"k-1"}"#;
    /// assert_eq!(sink.ingest_many([good, good], None)?, 2);
    ///
    /// let error = sink.ingest_many([good, "{}", good], None).unwrap_err();
    /// assert_eq!(error.index(), Some(1)); // one more was accepted: the event before the invalid one
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Json`](crate::ErrorKind::Json) or [`Schema`](crate::ErrorKind::Schema) for the first event that is not valid,
    /// [`Timeout`](crate::ErrorKind::Timeout) if the spool had no room in time, [`State`](crate::ErrorKind::State) when the sink is
    /// stopping, [`Spool`](crate::ErrorKind::Spool) if the file cannot be written. In each case, every event before [`Error::index`] was
    /// accepted, and none from there on. [`Forked`](crate::ErrorKind::Forked) in a forked child.
    pub fn ingest_many<E: AsRef<[u8]>>(
        &self,
        events: impl IntoIterator<Item = E>,
        timeout: Option<Duration>,
    ) -> Result<u64> {
        self.check_process()?;
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut burst = Burst::default();
        let mut accepted = 0;
        let rules = self.0.engine.rules.now();
        for event in events {
            let event = event.as_ref();
            if let Err(error) = check_and_push(&rules, event, &mut burst) {
                self.append_counted(&mut burst, &mut accepted, deadline)?;
                return Err(error.with_index(accepted));
            }
            if burst.is_full() {
                self.append_counted(&mut burst, &mut accepted, deadline)?;
            }
        }
        self.append_counted(&mut burst, &mut accepted, deadline)?;
        Ok(accepted)
    }

    /// Appends the burst and empties it. The index of an error is the number of events accepted before.
    fn append_counted(&self, burst: &mut Burst, accepted: &mut u64, deadline: Option<Instant>) -> Result<()> {
        if !burst.is_empty() {
            self.append(burst, deadline).map_err(|error| error.with_index(*accepted))?;
            *accepted += burst.events() as u64;
            burst.clear();
        }
        Ok(())
    }

    /// Appends the burst, waiting for room until the deadline.
    fn append(&self, burst: &Burst, deadline: Option<Instant>) -> Result<()> {
        self.append_as(burst, deadline, false)
    }

    /// `is_late`: whether the events are late ones.
    pub(super) fn append_as(&self, burst: &Burst, deadline: Option<Instant>, is_late: bool) -> Result<()> {
        let (spool, status) = (&self.0.engine.spool, &self.0.engine.status);
        loop {
            if let Some(refusal) = status.refusal("adding events") {
                return Err(refusal);
            }
            let now = status.clock.unix_micros();
            let appended = if is_late { spool.append_late(burst, now)? } else { spool.append(burst, now)? };
            if let Appended::At(_) = appended {
                status.counters.add(Counter::Received, burst.events() as u64);
                status.measures.note_events(now);
                return Ok(());
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Error::new(
                    ErrorKind::Timeout,
                    "adding events: the spool is full, and had no room in time",
                )
                .with_hint("try again later; if the destination is healthy, raise spool.bytes_max"));
            }
            spool.wait_for_room(burst, left.map_or(ROOM_CHECK, |left| left.min(ROOM_CHECK)));
        }
    }
}

/// Appends an event as it may be stored, if it is valid so.
fn check_and_push(rules: &EventRules, event: &[u8], burst: &mut Burst) -> Result<()> {
    let event = rules.storable(event, || false)?;
    rules.schema.parse(&event)?;
    burst.push(&event);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn config(folder: &Path) -> Config {
        let mut config = Config::default();
        config.spool.path = folder.join("spool.db");
        config.set("destination.url", "sqlite::memory:").unwrap();
        config
    }

    #[test]
    fn in_bulk_every_event_before_an_invalid_one_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let sink = Sink::open(&config(folder.path())).unwrap();
        let good: Vec<String> = (0..4500)
            .map(|n| {
                format!(
                    r#"{{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"{n}"}}"#
                )
            })
            .collect();
        assert_eq!(sink.ingest_many(&good, None).unwrap(), 4500);
        for place in [0, 1, 1999, 2000, 2001] {
            let before = sink.counter(Counter::Received);
            let some = good.iter().take(place).map(String::as_str).chain(["{}"]).chain(good.iter().map(String::as_str));
            let error = sink.ingest_many(some, None).unwrap_err();
            assert_eq!((error.kind(), error.index()), (ErrorKind::Schema, Some(place as u64)));
            assert_eq!(sink.counter(Counter::Received) - before, place as u64);
        }
    }

    #[test]
    fn in_bulk_a_full_spool_ends_in_a_timeout() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        config.set("spool.bytes_max", "64KiB").unwrap();
        let sink = Sink::open(&config).unwrap();
        let event = r#"{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"k"}"#;
        let error = sink.ingest_many(std::iter::repeat_n(event, 5000), Some(Duration::from_millis(1))).unwrap_err();
        assert_eq!((error.kind(), error.index()), (ErrorKind::Timeout, Some(2000)));
        assert_eq!(sink.counter(Counter::Received), 2000, "an empty spool takes one burst, however large");
    }
}
