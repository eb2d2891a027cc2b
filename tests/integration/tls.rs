//! TLS between the sink and CXone: token and stream follow one section `[tls]`, and each failure has its error and hint.

use cxsink::config::TlsVersion;
use cxsink::simulator::SimulatorOptions;
use cxsink::{Notice, Sink, State};

use crate::support;
use crate::support::authority::{Authority, Certified};
use crate::support::tls_bench::{Bench, file};
use crate::support::tls_front::server_config;

fn stream_of(events: Option<u64>) -> SimulatorOptions {
    let mut options = SimulatorOptions::default();
    options.events = events;
    options.rate = if events.is_none() { 2000 } else { 0 };
    options.close_at_end = true;
    options
}

#[test]
fn token_and_stream_over_tls_fill_the_table() {
    let authority = Authority::new();
    let bench = Bench::new(stream_of(Some(20_000)), &authority.server(&["localhost"]), &authority);
    let stats = support::run_to_the_end(&bench.started());
    let report = bench.simulator.report();
    assert_eq!((stats.state, stats.inserted), (State::Closed, 20_000), "{stats:?} {report}");
    assert_eq!((report.connections, report.tokens_issued), (1, 1), "{report}");
}

/// Token and stream fail separately: the other one is reached without TLS.
#[test]
fn an_invalid_certificate_has_its_error_for_token_and_stream() {
    let authority = Authority::new();
    let check = |certified: &Certified, what: &str, hint: &str| {
        for of_stream in [false, true] {
            let mut bench = Bench::new(stream_of(None), certified, &authority);
            let (plain, doing) = if of_stream {
                bench.config.oauth.url = bench.simulator.oauth_url();
                (&bench.config.stream.url, "opening the stream wss://localhost:")
            } else {
                bench.config.stream.url = bench.simulator.stream_url();
                (&bench.config.oauth.url, "getting a token from https://localhost:")
            };
            assert!(plain.contains("s://localhost"), "{plain}");
            let error = bench.error();
            let port = bench.front.address.port();
            assert!(error.message().contains(doing), "{error}");
            assert!(error.message().contains(&format!("TLS with localhost:{port}: ")), "{error}");
            assert!(error.message().contains(what), "{error}");
            assert!(error.hint().unwrap().contains(hint), "{error:?}");
            assert!(error.is_retryable(), "{error:?}");
            assert_eq!(bench.simulator.report().connections, 0);
        }
    };
    check(&authority.server_valid(&["localhost"], 2020..2025), "expired on 2025-01-01", "certificate renewed");
    check(&authority.server_valid(&["localhost"], 2100..2110), "not valid before 2100-01-01", "clock");
    check(&authority.server(&["cxone.example"]), "not for localhost, but for cxone.example", "tls.server_name");
    check(&Authority::new().server(&["localhost"]), "authority that is not trusted", "tls.ca_file");
}

#[test]
fn a_gateway_is_reached_under_the_name_of_its_certificate() {
    let authority = Authority::new();
    let mut bench = Bench::new(stream_of(Some(100)), &authority.server(&["cxone.example"]), &authority);
    bench.config.tls.server_name = Some("cxone.example".into());
    assert_eq!(support::run_to_the_end(&bench.started()).inserted, 100);
}

#[test]
fn a_client_certificate_is_sent_if_the_server_requires_it() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let certified = authority.server(&["localhost"]);
    let mut bench = Bench::new(stream_of(Some(100)), &certified, &authority);
    for only_1_2 in [true, false] {
        bench.front.change(server_config(&certified, Some(&clients), only_1_2));
        let error = bench.error();
        assert!(error.message().contains("TLS with localhost:"), "{error}");
        assert!(error.hint().unwrap().contains("tls.cert_file"), "{error:?}");
    }
    let client = clients.client("the sink");
    bench.config.tls.cert_file = Some(file(bench.directory.path(), "client.pem", &client.certificate));
    bench.config.tls.key_file = Some(file(bench.directory.path(), "client.key", &client.key));
    assert_eq!(support::run_to_the_end(&bench.started()).inserted, 100);
}

#[test]
fn an_old_version_is_accepted_unless_min_version_excludes_it() {
    let authority = Authority::new();
    let certified = authority.server(&["localhost"]);
    let mut bench = Bench::new(stream_of(Some(100)), &certified, &authority);
    bench.front.change(server_config(&certified, None, true));
    bench.config.tls.min_version = TlsVersion::Tls13;
    let error = bench.error();
    assert!(error.message().contains("no version of TLS in common"), "{error}");
    assert!(error.hint().unwrap().contains("tls.min_version"), "{error:?}");
    bench.config.tls.min_version = TlsVersion::Tls12;
    assert_eq!(support::run_to_the_end(&bench.started()).inserted, 100);
}

#[test]
fn renewed_files_take_effect_at_the_next_connection() {
    let (old, new) = (Authority::new(), Authority::new());
    let mut bench = Bench::new(stream_of(None), &old.server(&["localhost"]), &old);
    let client = bench.directory.path().join("client.pem");
    old.client("the sink").write(&client);
    (bench.config.tls.cert_file, bench.config.tls.key_file) = (Some(client.clone()), Some(client.clone()));
    bench.front.change(server_config(&old.server(&["localhost"]), Some(&old), false));
    let sink = bench.started();
    support::wait_until("events come", || sink.stats().received > 0);

    // The server moves to a new authority, for itself and for its clients.
    bench.front.change(server_config(&new.server(&["localhost"]), Some(&new), false));
    bench.front.cut_all();
    let reported = |sink: &Sink, what: &str| {
        support::wait_for_notice(sink, what, |notice| match notice {
            Notice::Error(error) => format!("{error:?}").contains(what).then_some(()),
            _ => None,
        });
    };
    reported(&sink, "authority that is not trusted");
    // A file that is being replaced does not end the sink.
    file(bench.directory.path(), "ca.pem", "");
    reported(&sink, "no `BEGIN CERTIFICATE`");
    file(bench.directory.path(), "ca.pem", &new.pem);
    reported(&sink, "tls.cert_file");
    let before = sink.stats().received;
    new.client("the sink").write(&client);
    support::wait_until("events come again", || sink.stats().received > before);
    sink.close().unwrap();
    assert_eq!(support::balanced(&sink).state, State::Closed);
}

#[test]
fn a_start_with_an_unreadable_file_is_an_error() {
    let authority = Authority::new();
    let mut bench = Bench::new(stream_of(Some(1)), &authority.server(&["localhost"]), &authority);
    bench.config.tls.ca_file = Some("/nowhere/ca.pem".into());
    let error = Sink::open(&bench.config).unwrap().start().unwrap_err();
    assert!(error.message().contains("tls.ca_file: reading /nowhere/ca.pem"), "{error}");
}
