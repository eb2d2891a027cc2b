use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;

use super::*;
use crate::config::Config;
use crate::report::stats::State;
use crate::time::clock::SystemClock;

/// The events of a call, and its result.
type Call<T> = (&'static [&'static str], Result<T>);

/// Does these calls; notes how many events the spool has whenever acknowledgements may leave.
struct Scripted {
    connects: VecDeque<Call<()>>,
    reads: VecDeque<Call<ReadOutcome>>,
    spool: Arc<Spool>,
    kept: Arc<Mutex<Vec<u64>>>,
}

fn push(events: &[&str], burst: &mut Burst) {
    for event in events {
        burst.push(event.as_bytes());
    }
    // And one that is ignored.
    burst.count_messages(events.len() as u64 + 1, 1);
}

impl Source for Scripted {
    fn connect(&mut self, early: &mut Burst) -> Result<()> {
        let (events, result) = self.connects.pop_front().unwrap();
        push(events, early);
        result
    }

    fn read(&mut self, burst: &mut Burst) -> Result<ReadOutcome> {
        let (events, result) = self.reads.pop_front().unwrap_or((&[], Ok(ReadOutcome::Closed)));
        push(events, burst);
        result
    }

    fn kept(&mut self) {
        self.kept.lock().unwrap().push(self.spool.pending().events);
    }
}

#[test]
fn events_are_kept_whatever_the_result_and_acknowledged_then() {
    let mut config = Config::default();
    config.spool.path = Path::new(":memory:").into();
    config.retry.delay_min = Duration::from_millis(1);
    config.retry.delay_max = Duration::from_millis(2);
    let spool = Arc::new(Spool::open(&config).unwrap());
    let status = Arc::new(Status::new(Arc::new(SystemClock)));
    let lost = || Error::new(ErrorKind::Connect, "lost");
    let kept = Arc::default();
    let source = Scripted {
        connects: [(&["a"][..], Err(lost())), (&[], Err(lost())), (&["b", "c"], Ok(())), (&[], Ok(()))].into(),
        reads: [(&["d"][..], Ok(ReadOutcome::Events)), (&[], Ok(ReadOutcome::Idle)), (&["e", "f"], Err(lost()))].into(),
        spool: Arc::clone(&spool),
        kept: Arc::clone(&kept),
    };
    let mut reader = Reader {
        connection_log: ConnectionLog::new(Arc::clone(&spool), Arc::clone(&status.clock)),
        spool: Arc::clone(&spool),
        status: Arc::clone(&status),
        source: Box::new(source),
        redactor: None,
        redacted: Burst::default(),
        retry: config.retry,
        on_normal_close: OnNormalClose::Stop,
        is_full: false,
    };
    reader.run().unwrap();
    assert_eq!(*kept.lock().unwrap(), [1, 3, 4, 6]);
    let counted = status.counters.snapshot(State::Running, spool.pending().events, 0);
    // Four connects and four reads, the last one of which closes.
    assert_eq!((counted.received, counted.messages, counted.ignored), (6, 14, 8));
}
