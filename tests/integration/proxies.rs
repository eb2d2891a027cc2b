//! Token and stream through an HTTP proxy, with a real one and with one that misbehaves.
#![cfg(unix)]

use cxsink::simulator::SimulatorOptions;
use cxsink::{Notice, Sink, State};

use crate::support;
use crate::support::authority::Authority;
use crate::support::connect_proxy::{ESTABLISHED, OneWayProxy, TinyProxy};
use crate::support::process::{cxsink_of, output};
use crate::support::tls_bench::Bench;

fn bench(events: u64) -> Bench {
    let mut options = SimulatorOptions::default();
    options.events = Some(events);
    options.close_at_end = true;
    let authority = Authority::new();
    let mut bench = Bench::new(options, &authority.server(&["localhost", "api.example"]), &authority);
    // This machine is excepted by default.
    bench.config.proxy.no_proxy = None;
    bench
}

/// The number of requests to the proxy for a connection to the bench.
fn connects(proxy: &TinyProxy, bench: &Bench) -> usize {
    let wanted = format!("CONNECT localhost:{} ", bench.front.address.port());
    proxy.log().matches(&wanted).count()
}

#[test]
fn token_and_stream_pass_tinyproxy() {
    let proxy = TinyProxy::start(None);
    let mut bench = bench(20_000);
    bench.config.proxy.url = Some(format!("http://127.0.0.1:{}", proxy.port).into());
    let stats = support::run_to_the_end(&bench.started());
    assert_eq!((stats.state, stats.inserted), (State::Closed, 20_000), "{stats:?}");
    assert_eq!(connects(&proxy, &bench), 2, "one for the token, one for the stream: {}", proxy.log());
}

#[test]
fn tinyproxy_gets_the_credentials_that_it_requires() {
    let proxy = TinyProxy::start(Some(("sink", "hunter2")));
    let mut bench = bench(1000);
    for wrong in ["http://", "http://sink@", "http://sink:wrong@"] {
        bench.config.proxy.url = Some(format!("{wrong}127.0.0.1:{}", proxy.port).into());
        let error = bench.error();
        // 407 without credentials, and 401 with wrong ones, says this proxy.
        assert!(matches!(error.http_status(), Some(401 | 407)), "{error}");
        assert!(error.message().contains("through the proxy"), "{error}");
        assert!(error.hint().unwrap().contains("proxy.password_file"), "{error:?}");
    }
    assert_eq!(bench.simulator.report().tokens_issued, 0);
    let password = bench.directory.path().join("password");
    std::fs::write(&password, "hunter2\n").unwrap();
    bench.config.proxy.url = Some(format!("http://sink@127.0.0.1:{}", proxy.port).into());
    bench.config.proxy.password_file = Some(password);
    assert_eq!(support::run_to_the_end(&bench.started()).inserted, 1000);
}

/// Every fault of a proxy, one after the other; the sink tries again until the proxy connects.
#[test]
fn a_faulty_proxy_is_tried_until_it_connects() {
    const BAD: [(&str, &str); 5] = [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "refused with status 407 Proxy Authentication Required"),
        ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "refused with status 503"),
        ("", "closed the connection without a response"),
        ("HTTP/1.1 200", "closed the connection without a response"),
        ("220 mail.example ESMTP\r\n", "its response is not HTTP/1.1"),
    ];
    let mut bench = bench(1000);
    // Each once for the token, and each once for the stream.
    let proxy = OneWayProxy::new(bench.front.address, |number| {
        BAD.get(number % 6).filter(|_| number < 12).map_or(ESTABLISHED, |(response, _)| response).into()
    });
    bench.config.proxy.url = Some(format!("http://{}", proxy.address).into());
    let sink = bench.started();
    for doing in ["getting a token", "opening the stream"] {
        for (_, why) in BAD {
            let error = support::tls_bench::error_of(&sink);
            assert!(error.message().contains(doing) && error.message().contains(why), "{doing}, {why}: {error}");
            assert!(error.is_retryable(), "{error}");
        }
    }
    let stats = support::run_to_the_end(&sink);
    assert_eq!(stats.inserted, 1000, "{stats:?}");
    assert_eq!(proxy.requests().len(), 12);
}

/// Only the proxy knows where `api.example` is.
#[test]
fn the_environment_names_the_proxy() {
    let bench = bench(500);
    let proxy = OneWayProxy::new(bench.front.address, |_| ESTABLISHED.into());
    let run = |variables: &[(&str, String)]| {
        let mut command = cxsink_of(bench.directory.path(), &bench.simulator);
        command
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .env("CXSINK_OAUTH__URL", bench.front.url(&bench.simulator.oauth_url(), "api.example"))
            .env("CXSINK_STREAM__URL", bench.front.url(&bench.simulator.stream_url(), "api.example"))
            .env("CXSINK_TLS__CA_FILE", bench.config.tls.ca_file.as_ref().unwrap())
            .env("CXSINK_DESTINATION__URL", "sqlite:table.db")
            .env("CXSINK_SPOOL__PATH", "environment.db");
        output(command.args(["run", "--set", "stream.on_normal_close=stop"]))
    };
    let url = format!("http://me:p%40ss@{}", proxy.address);
    let (code, out, err) = run(&[("https_proxy", url.clone()), ("ALL_PROXY", "http://127.0.0.1:1".into())]);
    assert_eq!(code, 0, "{out}{err}");
    let requests = proxy.requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    let port = bench.front.address.port();
    for request in &requests {
        assert!(request.starts_with(&format!("CONNECT api.example:{port} HTTP/1.1\r\n")), "{request}");
        // me:p@ss
        assert!(request.contains("\r\nProxy-Authorization: Basic bWU6cEBzcw==\r\n"), "{request}");
    }
    assert!(!format!("{out}{err}").contains("p@ss") && !format!("{out}{err}").contains("p%40ss"));
}

#[test]
fn exceptions_of_the_environment_need_no_proxy() {
    let mut bench = bench(500);
    let layers = cxsink::config::Layers::default()
        .environment([("HTTPS_PROXY", "http://127.0.0.1:1"), ("NO_PROXY", "elsewhere.example, LOCALHOST")]);
    bench.config.proxy = layers.config().unwrap().proxy;
    assert_eq!(support::run_to_the_end(&bench.started()).inserted, 500);
}

#[test]
fn a_stop_ends_the_wait_for_a_proxy_that_hangs() {
    let mut bench = bench(1);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    bench.config.proxy.url = Some(format!("http://{}", silent.local_addr().unwrap()).into());
    bench.config.stream.connect_timeout = std::time::Duration::from_secs(60);
    let sink: Sink = bench.started();
    let (mut requested, _) = silent.accept().unwrap();
    std::io::Read::read_exact(&mut requested, &mut [0; 7]).unwrap();
    let begun = std::time::Instant::now();
    sink.close().unwrap();
    // The promise is 100 ms; the rest is for a busy machine.
    assert!(begun.elapsed() < std::time::Duration::from_secs(3), "{:?}", begun.elapsed());
    while let cxsink::Poll::Notice(notice) = sink.poll(None).unwrap() {
        assert!(!matches!(notice, Notice::Error(_)), "{notice:?}");
    }
}
