//! A gateway answers in the place of CXone: a status alone ends a sink that never had success, and is an outage to every other one.

use std::net::SocketAddr;

use cxsink::config::OnNormalClose;
use cxsink::simulator::{Simulator, SimulatorOptions};
use cxsink::{Notice, Poll, Sink, Stats};

use crate::support;
use crate::support::gateway::{Fate, Gateway, page};
use crate::support::postgres::PATIENCE;

const EVENTS: u64 = 400;

/// A sink whose requests for tokens and whose connections to the stream each go through a gateway.
struct Bench {
    simulator: Simulator,
    tokens: Gateway,
    stream: Gateway,
    directory: tempfile::TempDir,
    sink: Sink,
}

impl Bench {
    /// The stream closes three times with this code, in order, so that nothing is on its way when it does.
    fn start(close_code: u16, tokens: Vec<Fate>, stream: Vec<Fate>) -> Self {
        let mut options = SimulatorOptions::default();
        options.events = Some(EVENTS);
        (options.close_after, options.close_connections, options.close_code) = (Some(100), 3, close_code);
        options.close_at_end = true;
        let simulator = Simulator::start(options).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let table = format!("sqlite:{}", directory.path().join("table.db").display());
        let mut config = support::config(directory.path(), &table);
        simulator.apply_to(&mut config);
        let server = SocketAddr::from(([127, 0, 0, 1], simulator.port()));
        let (tokens, stream) = (Gateway::new(server, tokens), Gateway::new(server, stream));
        let through = |url: &str, gateway: SocketAddr| url.replacen(&server.to_string(), &gateway.to_string(), 1);
        config.oauth.url = through(&config.oauth.url, tokens.address);
        config.stream.url = through(&config.stream.url, stream.address);
        config.stream.on_normal_close = OnNormalClose::Stop;
        cxsink::init_db(&config).unwrap();
        let sink = Sink::open(&config).unwrap();
        sink.start().unwrap();
        Self { simulator, tokens, stream, directory, sink }
    }

    /// The statuses that the sink reported until its end.
    fn statuses_until_the_end(&self) -> Vec<u16> {
        let mut statuses = Vec::new();
        loop {
            match self.sink.poll(Some(PATIENCE)).unwrap() {
                Poll::Closed => return statuses,
                Poll::Notice(Notice::Error(error)) => statuses.extend(error.http_status()),
                Poll::Notice(_) => {}
                other @ Poll::TimedOut => panic!("nothing happens; the last is {other:?}: {:?}", self.sink.stats()),
            }
        }
    }

    /// Every event that was sent is in the table.
    fn assert_complete(&self) {
        assert!(self.sink.failure().is_none(), "{:?}", self.sink.failure());
        self.sink.close_within(PATIENCE).unwrap();
        let stats: Stats = support::balanced(&self.sink);
        let sent = self.simulator.report().events;
        assert_eq!((stats.received, stats.inserted, sent), (EVENTS, EVENTS, EVENTS), "{stats:?}");
        assert_eq!((stats.reconnects, stats.dead_lettered, stats.pending), (3, 0, 0), "{stats:?}");
        let table = rusqlite::Connection::open(self.directory.path().join("table.db")).unwrap();
        let stored: u64 = table.query_row("SELECT count(*) FROM cxone_events", [], |row| row.get(0)).unwrap();
        assert_eq!(stored, EVENTS);
    }
}

fn pages(statuses: &[u16]) -> Vec<Fate> {
    statuses.iter().map(|status| page(*status)).collect()
}

/// Passes one connection, and answers the next ones with these.
fn after_one(statuses: &[u16]) -> Vec<Fate> {
    [vec![Fate::Passed], pages(statuses)].concat()
}

#[test]
fn after_a_token_no_status_of_the_token_endpoint_ends_the_sink() {
    let statuses = [403, 404, 400, 405, 410, 308, 301, 401, 401, 401, 401, 403, 503, 302];
    // The code discards the token.
    let bench = Bench::start(4001, after_one(&statuses), Vec::new());
    assert_eq!(bench.statuses_until_the_end(), statuses);
    bench.assert_complete();
}

#[test]
fn after_an_open_stream_no_status_of_the_stream_ends_the_sink() {
    // The second 403 in a row refuses a new token.
    let statuses = [404, 410, 403, 403, 403, 308, 301, 400, 405, 401, 401, 401, 503, 302];
    let bench = Bench::start(1012, Vec::new(), after_one(&statuses));
    assert_eq!(bench.statuses_until_the_end(), statuses);
    bench.assert_complete();
}

/// The stream was never open, but there was a token.
#[test]
fn a_token_alone_makes_an_outage_of_the_token_endpoint() {
    let bench = Bench::start(1012, after_one(&[404, 403]), pages(&[401]));
    assert_eq!(bench.statuses_until_the_end(), [401, 404, 403]);
    bench.assert_complete();
}

/// The statuses after a 503, which is an outage at any time, and the failure that the last of them is.
fn assert_ended_by(bench: &Bench, statuses: &[u16]) {
    assert_eq!(bench.statuses_until_the_end(), statuses);
    let failure = bench.sink.failure().unwrap();
    assert_eq!(failure.http_status(), statuses.last().copied(), "{failure:?}");
    assert!(!failure.is_retryable() && failure.hint().is_some(), "{failure:?}");
    assert_eq!(bench.simulator.report().connections, 0);
}

#[test]
fn before_the_first_token_the_first_permanent_status_ends_the_sink() {
    for status in [400, 401, 403, 404, 405, 410, 301, 308] {
        let statuses = [503, status];
        let bench = Bench::start(1012, pages(&statuses), Vec::new());
        assert_ended_by(&bench, &statuses);
        assert_eq!((bench.tokens.connections(), bench.stream.connections()), (2, 0), "{status}");
    }
}

#[test]
fn before_the_first_stream_the_first_permanent_status_ends_the_sink() {
    // The first 403 may be the age of the token.
    for statuses in [&[503, 403, 403][..], &[503, 404], &[503, 410], &[503, 301], &[503, 308]] {
        let bench = Bench::start(1012, Vec::new(), pages(statuses));
        assert_ended_by(&bench, statuses);
        assert_eq!(bench.stream.connections(), statuses.len());
    }
}
