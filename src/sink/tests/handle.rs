//! The life of a handle: start, poll, stop, close, drop, and what the application hands in.

use super::super::*;
use super::bench::*;

#[test]
fn public_types_may_be_shared_among_threads() {
    fn check<T: Send + Sync>() {}
    check::<Sink>();
    check::<crate::Validator>();
    check::<Config>();
    check::<Error>();
    check::<Notice>();
    check::<Stats>();
    check::<DeadLetter>();
    check::<crate::dead_letters::ReplayReport>();
    check::<crate::check::CheckReport>();
    check::<Gap>();
}

#[cfg(unix)]
#[test]
fn only_its_user_can_read_the_spool() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let sink = bench.open();
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    for end in ["", "-wal", ".lock"] {
        let path = bench.directory.path().join(format!("spool.db{end}"));
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{end}");
    }
}

#[test]
fn lines_before_an_unreadable_one_are_taken_and_counted() {
    struct Broken(usize);
    impl std::io::Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0 += 1;
            if self.0 > 2 {
                return Err(std::io::Error::other("the cable"));
            }
            let line = event(&format!("k{}", self.0), 1) + "\n";
            buffer[..line.len()].copy_from_slice(line.as_bytes());
            Ok(line.len())
        }
    }
    let bench = Bench::new();
    let sink = bench.open();
    let error = sink.import(std::io::BufReader::new(Broken(0))).unwrap_err();
    assert!(error.message().contains("after 2 accepted events: the cable"), "{error}");
    assert_eq!(error.index(), Some(2));
    assert_eq!(sink.stats().pending, 2);
}

#[test]
fn events_of_the_application_reach_the_table() {
    let bench = Bench::new();
    let sink = bench.open();
    let error = sink.ingest(b"{}").unwrap_err();
    assert_eq!((error.kind(), error.violations().len()), (ErrorKind::Schema, 4));
    assert_eq!(sink.ingest(b"x").unwrap_err().kind(), ErrorKind::Json);
    let batches = bench.start(&sink, &[], None);
    let lines = format!("{}\n\n  {}  \nbad\n{}", event("a", 1), event("b", 2), event("a", 3));
    assert_eq!(sink.import(lines.as_bytes()).unwrap(), 4);
    sink.close_within(Duration::from_secs(30)).unwrap();
    assert_eq!(bench.rows(), rows(&[("a", 3), ("b", 2)]));
    assert_eq!(sink.ingest(event("c", 1).as_bytes()).unwrap_err().kind(), ErrorKind::State);
    let stats = sink.stats();
    assert!(stats.is_balanced() && stats.received == 4 && stats.dead_lettered == 1, "{stats:?}");
    assert_eq!(batches.iter().count() as u64, stats.batches, "no statement is in vain");
}

#[test]
fn threads_of_the_application_may_call_at_the_same_time() {
    let bench = Bench::new();
    let sink = bench.open();
    bench.start(&sink, &[], None);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let sink = sink.clone();
            scope.spawn(move || {
                for n in 0..50 {
                    sink.ingest(event(&format!("t{thread}-{n}"), n).as_bytes()).unwrap();
                    let _ = (sink.stats(), sink.state(), sink.poll(Some(Duration::ZERO)).unwrap());
                }
            });
        }
    });
    sink.close_within(Duration::from_secs(30)).unwrap();
    assert_eq!(bench.rows().len(), 200);
    assert!(sink.stats().is_balanced());
}

#[test]
fn a_sink_starts_once_and_ends_once() {
    let bench = Bench::new();
    let sink = bench.open();
    bench.start(&sink, &[], None);
    let error = sink.start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    sink.stop();
    sink.stop();
    sink.close_within(Duration::MAX).unwrap();
    assert!(matches!(sink.poll(None), Ok(Poll::Notice(_))));
    let unstarted = Bench::new().open();
    unstarted.stop();
    assert_eq!(unstarted.state(), State::Closed);
    assert_eq!(unstarted.start().unwrap_err().kind(), ErrorKind::State);
}

#[test]
fn a_sink_that_is_not_started_has_no_notices() {
    let bench = Bench::new();
    let sink = bench.open();
    let long_ago = || *sync::lock(&sink.0.stats_shown) = Instant::now().checked_sub(STATS_INTERVAL).unwrap();
    long_ago();
    for timeout in [Duration::ZERO, Duration::from_millis(5)] {
        assert!(matches!(sink.poll(Some(timeout)).unwrap(), Poll::TimedOut));
    }
    bench.start(&sink, &[], None);
    assert!(matches!(sink.poll(None).unwrap(), Poll::Notice(Notice::State(State::Running))));
    long_ago();
    assert!(matches!(sink.poll(None).unwrap(), Poll::Notice(Notice::Stats(_))));
    assert!(matches!(sink.poll(Some(Duration::ZERO)).unwrap(), Poll::TimedOut));
    sink.close_within(Duration::MAX).unwrap();
}

/// The wait for the start, on another thread, does not end with empty statistics.
#[test]
fn polling_may_begin_before_the_start() {
    let bench = Bench::new();
    let sink = bench.open();
    let polled = sink.clone();
    let first = std::thread::spawn(move || polled.poll(None).unwrap());
    bench.start(&sink, &[], None);
    assert!(matches!(first.join().unwrap(), Poll::Notice(Notice::State(State::Running))));
    sink.close_within(Duration::MAX).unwrap();
}

#[test]
fn a_start_that_fails_ends_the_sink_and_the_notices() {
    let mut bench = Bench::new();
    bench.config.tls.ca_file = Some("/nowhere/ca.pem".into());
    bench.config.oauth.client_id = Some("id".into());
    bench.config.oauth.client_secret = Some("secret".to_owned().into());
    bench.config.stream.id = Some("stream".into());
    let sink = bench.open();
    assert_eq!(sink.start().unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(sink.start().unwrap_err().kind(), ErrorKind::State);
    let mut notices = Vec::new();
    while let Poll::Notice(notice) = sink.poll(None).unwrap() {
        notices.push(notice.to_json());
    }
    assert!(notices[0].contains("tls.ca_file"), "{notices:?}");
    assert!(notices.last().unwrap().contains("failed"), "{notices:?}");
    assert_eq!(sink.close_within(Duration::MAX).unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn a_stop_does_not_wait_for_an_unreachable_destination() {
    let bench = Bench::new();
    bench.faults(&vec![Fault::Unreachable; 10_000]);
    let sink = bench.open();
    bench.start(&sink, &[], None);
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    sink.close_within(Duration::from_secs(30)).unwrap();
    let stats = sink.stats();
    assert_eq!((stats.state, stats.pending), (State::Closed, 1));
    assert!(stats.is_balanced());
}

#[test]
fn close_ends_a_hanging_statement_at_its_timeout() {
    let bench = Bench::new();
    bench.faults(&[Fault::Hang]);
    let sink = bench.open();
    let batches = bench.start(&sink, &[], None);
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    batches.recv().unwrap();
    let error = sink.close_within(Duration::from_millis(50)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.message().contains("1 events"), "{error}");
    assert_eq!(sink.state(), State::Closed);
    assert!(sink.close_within(Duration::MAX).is_ok(), "closing again is no error");
    assert_eq!(sink.stats().pending, 1);
}

#[test]
fn dropping_the_last_clone_ends_the_threads() {
    let bench = Bench::new();
    let sink = bench.open();
    let batches = bench.start(&sink, &[], None);
    let clone = sink.clone();
    drop(sink);
    clone.ingest(event("a", 1).as_bytes()).unwrap();
    drop(clone);
    // The writer drops the destination, and with it the sender.
    assert_eq!(batches.iter().count(), 1);
    assert_eq!(bench.rows(), rows(&[("a", 1)]));
    drop(bench.open());
}

#[test]
fn after_a_permanent_error_of_the_stream_the_sink_drains_and_fails() {
    let bench = Bench::new();
    let sink = bench.open();
    let fatal = Error::new(ErrorKind::Auth, "the client secret is wrong").with_hint("check it");
    bench.start(&sink, &[&[event("a", 1)]], Some(fatal));
    wait_for_state(&sink, State::Failed);
    assert!(matches!(sink.poll(None).unwrap(), Poll::Closed));
    assert_eq!(sink.failure().unwrap().kind(), ErrorKind::Auth);
    assert_eq!(sink.close_within(Duration::MAX).unwrap_err().kind(), ErrorKind::Auth);
    assert_eq!(bench.rows(), rows(&[("a", 1)]));
    assert!(sink.stats().is_balanced());
}

#[test]
fn after_a_panic_the_sink_has_failed_and_the_spool_is_intact() {
    let bench = Bench::new();
    bench.faults(&[Fault::Panic]);
    let sink = bench.open();
    bench.start(&sink, &[&[event("a", 1)]], None);
    wait_for_state(&sink, State::Failed);
    assert_eq!(sink.failure().unwrap().kind(), ErrorKind::Panic);
    assert_eq!(sink.stats().pending, 1);
    drop(sink);
    let stats = bench.run(&[&[event("b", 2)]]);
    assert_eq!((stats.recovered, stats.inserted), (1, 2));
}
