//! Each part of an event's path alone, in the order of the path.
//!
//! `make bench` runs this beside a PostgreSQL with durable settings. By hand:
//! `scripts/with-postgres --durable cargo bench --features _bench --bench components [FILTER]`. `cargo test` runs each once.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails ends there")]

use std::cell::Cell;

use cxsink::Config;
use cxsink::bench::{Batch, Events, Preparation, Queue, Table, decode_frames};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};

/// The most events of one transaction, by default.
const EVENTS: u64 = 5000;

fn main() {
    divan::main();
}

fn some_events() -> Events {
    Events::simulate(1, EVENTS, 0.0)
}

fn items(events: u64) -> ItemsCount {
    ItemsCount::new(events)
}

#[divan::bench]
fn frame_decode(bencher: Bencher<'_, '_>) {
    let frames = some_events().to_frames();
    bencher.counter(items(EVENTS)).counter(BytesCount::of_slice(&frames)).bench_local(|| {
        assert_eq!(decode_frames(&frames) as u64, EVENTS);
    });
}

/// Appends a burst of so many events, and deletes the one before, as in a sink that keeps up.
#[divan::bench(args = [1, 50, 2000], sample_size = 1, sample_count = 300)]
fn spool_append(bencher: Bencher<'_, '_>, burst: u64) {
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::open(&folder.path().join("spool.db")).unwrap();
    let events = Events::simulate(1, burst, 0.0);
    bencher
        .counter(items(burst))
        .counter(BytesCount::new(events.bytes()))
        .with_inputs(|| queue.commit().unwrap())
        .bench_local_values(|()| queue.append(&events).unwrap());
}

#[divan::bench]
fn spool_read(bencher: Bencher<'_, '_>) {
    let folder = tempfile::tempdir().unwrap();
    let mut queue = Queue::open(&folder.path().join("spool.db")).unwrap();
    queue.append(&some_events()).unwrap();
    bencher.counter(items(EVENTS)).bench_local(|| {
        assert_eq!(queue.read(usize::MAX).unwrap() as u64, EVENTS);
    });
}

#[divan::bench(sample_size = 1)]
fn spool_delete(bencher: Bencher<'_, '_>) {
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::open(&folder.path().join("spool.db")).unwrap();
    let events = some_events();
    bencher
        .counter(items(EVENTS))
        .with_inputs(|| {
            queue.append(&events).unwrap();
            queue.commit().unwrap();
        })
        .bench_local_values(|()| queue.delete().unwrap());
}

#[divan::bench]
fn parse_and_validate(bencher: Bencher<'_, '_>) {
    let (preparation, events) = (Preparation::new().unwrap(), some_events());
    bencher
        .counter(items(EVENTS))
        .counter(BytesCount::new(events.bytes()))
        .bench_local(|| preparation.check(&events).unwrap());
}

#[divan::bench]
fn map(bencher: Bencher<'_, '_>) {
    let (preparation, events) = (Preparation::new().unwrap(), some_events());
    let parsed = preparation.parse(&events).unwrap();
    bencher.counter(items(EVENTS)).bench_local(|| preparation.map(&parsed).unwrap());
}

/// The argument: the percentage of events that repeat an earlier one.
#[divan::bench(args = [0, 20])]
fn coalesce(bencher: Bencher<'_, '_>, repeated_percent: u32) {
    let events = Events::simulate(1, EVENTS, repeated_percent.into());
    let mut batch = Preparation::new().unwrap().prepare(&events).unwrap();
    bencher.counter(items(EVENTS)).bench_local(|| batch.coalesce());
}

#[divan::bench]
fn encode(bencher: Bencher<'_, '_>) {
    let batch = Preparation::new().unwrap().prepare(&some_events()).unwrap();
    bencher
        .counter(items(EVENTS))
        .counter(BytesCount::new(batch.encode().unwrap()))
        .bench_local(|| batch.encode().unwrap());
}

/// The argument is the size of the batch; every row is new.
#[divan::bench(args = [1, 10, 100, 1000, 5000], sample_size = 1)]
fn upsert_postgresql(bencher: Bencher<'_, '_>, size: u64) {
    // Without a server divan reports that nothing was measured.
    let Ok(url) = std::env::var("CXSINK_TEST_POSTGRES") else {
        assert!(std::env::var_os("CI").is_none(), "scripts/with-postgres sets CXSINK_TEST_POSTGRES");
        return;
    };
    upsert(bencher, &url, size);
}

#[divan::bench(args = [1, 10, 100, 1000, 5000], sample_size = 1)]
fn upsert_sqlite(bencher: Bencher<'_, '_>, size: u64) {
    let folder = tempfile::tempdir().unwrap();
    upsert(bencher, &format!("sqlite:{}", folder.path().join("events.db").display()), size);
}

fn upsert(bencher: Bencher<'_, '_>, url: &str, size: u64) {
    let mut config = Config::default();
    config.set("destination.url", url).unwrap();
    config.set("destination.table", &format!("components_{size}")).unwrap();
    let mut table = Table::open(&config).unwrap();
    let preparation = Preparation::new().unwrap();
    let seed = Cell::new(0);
    let next_batch = || -> Batch {
        seed.set(seed.get() + 1);
        preparation.prepare(&Events::simulate(seed.get(), size, 0.0)).unwrap()
    };
    bencher.counter(items(size)).with_inputs(next_batch).bench_local_refs(|batch| table.upsert(batch).unwrap());
}
