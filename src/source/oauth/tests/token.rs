use crate::error::{Class, ErrorKind};
use crate::source::oauth::token::*;
use crate::source::test_server::{HandClock, PATIENCE, TestServer, response, stop_when, token_response};
use crate::time::clock::SystemClock;
use std::sync::{Mutex, mpsc};
use std::thread;

fn source(config: &Config) -> TokenCache {
    TokenCache::new(config, StopSignal::new(), Arc::new(SystemClock), Arc::new(|_| ())).unwrap()
}

/// The token, or the error, after `text` as the endpoint's only response.
fn answered(text: impl AsRef<[u8]>) -> Result<Token> {
    let text = text.as_ref().to_vec();
    let server = TestServer::http(move |_, peer| peer.send(&text));
    source(&server.config()).token(None)
}

fn body(body: &str) -> Result<Token> {
    answered(response("200 OK", "Content-Type: application/json\r\n", body))
}

/// Nothing that is shown may hold a secret.
#[track_caller]
fn assert_clean(error: &Error) {
    let all = format!("{error:?} {error} {}", error.detail_json());
    for secret in ["hunter2", "client-4711", "tok-secret"] {
        assert!(!all.contains(secret), "{all}");
    }
}

#[test]
fn the_request_of_the_defaults_is_the_form_of_the_rfc() {
    let server = TestServer::http(|_, peer| peer.send(token_response("abc")));
    let token = source(&server.config()).token(None).unwrap();
    assert_eq!(token.header.as_ref().unwrap(), "Bearer abc");
    assert_eq!(token.secret(), "abc");
    assert!(token.fresh);
    assert!(!format!("{token:?}").contains("abc"), "{token:?}");
    let expected = concat!(
        "POST /token HTTP/1.1\r\ncontent-length: 104\r\nuser-agent: cxsink/",
        env!("CARGO_PKG_VERSION"),
        "\r\naccept: application/json\r\nhost: HERE\r\ncontent-type: application/x-www-form-urlencoded\r\nconnection: close\r\n\r\n",
        "grant_type=client_credentials&client_id=client-4711&client_secret=hunter2%26co&scope=data-actions%3Aread"
    );
    assert_eq!(server.requests.lock().unwrap()[0].replace(&server.address.to_string(), "HERE"), expected);
}

#[test]
fn a_token_is_kept_until_shortly_before_its_expiry() {
    let server = TestServer::http(|number, peer| peer.send(token_response(&format!("token-{number}"))));
    let clock = HandClock::new();
    let events = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&events);
    let observer: Observer = Arc::new(move |event| log.lock().unwrap().push(event));
    let tokens = TokenCache::new(&server.config(), StopSignal::new(), Arc::clone(&clock) as _, observer).unwrap();
    let check = |at, expected: &str, fresh| {
        clock.move_to(Duration::from_secs(at));
        let token = tokens.token(None).unwrap();
        assert_eq!((token.secret(), token.fresh), (expected, fresh), "at {at} s");
        token
    };
    let first = check(0, "token-0", true);
    check(3569, "token-0", false);
    let second = check(3570, "token-1", true);
    tokens.discard(&first);
    check(3571, "token-1", false);
    tokens.discard(&second);
    check(3572, "token-2", true);
    let events = events.lock().unwrap();
    let fetched = events.iter().map(|event| match event {
        SourceEvent::TokenFetched { renewal, expires_at } => (*renewal, *expires_at),
        SourceEvent::TokenShared { .. } => panic!("nobody shares it"),
    });
    let renewals: Vec<bool> = fetched.clone().map(|(renewal, _)| renewal).collect();
    assert_eq!(renewals, [false, true, true]);
    // The wall clock of this test is the machine's.
    let now = SystemClock.unix_micros();
    for (_, expires_at) in fetched {
        assert!((now + 3_500_000_000..=now + 3_600_000_000).contains(&expires_at), "{expires_at} at {now}");
    }
}

#[test]
fn half_of_a_short_lifetime_is_used() {
    let server = TestServer::http(|number, peer| {
        peer.send(response("200 OK", "", &format!(r#"{{"access_token":"token-{number}","expires_in":40}}"#)));
    });
    let clock = HandClock::new();
    let tokens =
        TokenCache::new(&server.config(), StopSignal::new(), Arc::clone(&clock) as _, Arc::new(|_| ())).unwrap();
    for (at, expected) in [(0, "token-0"), (19, "token-0"), (20, "token-1")] {
        clock.move_to(Duration::from_secs(at));
        assert_eq!(tokens.token(None).unwrap().secret(), expected, "at {at} s");
    }
}

/// A server that answers the request with this number when it is told to. It says when a request has arrived.
fn held(answer: fn(usize) -> String) -> (TestServer, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (arrived, has_arrived) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let server = TestServer::http(move |number, peer| {
        arrived.send(()).unwrap();
        released.lock().unwrap().recv().unwrap();
        peer.send(answer(number));
    });
    (server, has_arrived, release)
}

#[test]
fn many_callers_cause_one_request() {
    let (server, has_arrived, release) = held(|_| token_response("one"));
    let tokens = Arc::new(source(&server.config()));
    let call = || {
        let tokens = Arc::clone(&tokens);
        thread::spawn(move || tokens.token(None).unwrap().fresh)
    };
    let first = call();
    has_arrived.recv_timeout(PATIENCE).unwrap();
    let others: Vec<_> = (0..8).map(|_| call()).collect();
    release.send(()).unwrap();
    assert!(first.join().unwrap());
    for other in others {
        assert!(!other.join().unwrap());
    }
    assert_eq!(server.requests.lock().unwrap().len(), 1);
}

#[test]
fn good_responses_in_all_their_forms_give_a_token() {
    let check = |text: &str| match body(text) {
        Ok(token) => assert_eq!(token.secret(), "tok", "{text}"),
        Err(error) => panic!("{text}: {error}"),
    };
    check(r#"{"access_token":"tok"}"#);
    check(r#"{"access_token":"tok","token_type":"bearer","expires_in":3600,"scope":"data-actions:read"}"#);
    check(r#"{"access_token":"tok","token_type":"BEARER","expires_in":"3600","scope":"a data-actions:read b"}"#);
    check(r#"{"access_token":"tok","token_type":null,"expires_in":null,"scope":null,"more":[1]}"#);
    check(r#"{"access_token":"tok","expires_in":3599.5,"scope":["data-actions:read"]}"#);
    check(r#"{"access_token":"tok","scope":"other,data-actions:read"}"#);
    check(r#"{"access_token":"tok","scope":"other, data-actions:read, more"}"#);
    check(r#"{"access_token":"tok","token_type":" Bearer "}"#);
    check(r#"{"access_token":"tok","token_type":"BearerToken"}"#);
    check(r#"{"access_token":"tok","token_type":"JWT"}"#);
    check(r#"{"access_token":" tok\n"}"#);
    check("\u{feff}{\"access_token\":\"tok\"}");
    check(r#"{"access_token":"tok","error":"invalid_client"}"#);
    let created = response("201 Created", "", r#"{"access_token":"tok"}"#);
    assert_eq!(answered(created).unwrap().secret(), "tok");
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"access\r\ne\r\n_token\":\"tok\"}\r\n0\r\n\r\n";
    assert_eq!(answered(chunked).unwrap().secret(), "tok");
}

#[test]
fn a_good_status_with_a_bad_body_names_the_fault() {
    let check = |text: &str, why: &str| {
        let error = body(text).unwrap_err();
        assert!(error.message().contains(why), "{text}: {error}");
        assert!(error.message().contains("getting a token from http://127.0.0.1:"), "{error}");
        assert_eq!((error.kind(), error.class()), (ErrorKind::Protocol, Class::Transient), "{error}");
        assert!(error.hint().is_some());
        assert_clean(&error);
    };
    check("", "is not JSON (application/json, 0 bytes)");
    check("<html>tok-secret</html>", "is not JSON");
    check(r#"{"access_token":"tok-secret"#, "is not JSON");
    check(r#"["tok-secret"]"#, "not a JSON object");
    check(r#"{"token":"tok-secret"}"#, "has no `access_token`");
    check(r#"{"access_token":4711}"#, "not a string");
    check(r#"{"access_token":""}"#, "an `access_token` that is empty");
    check(r#"{"access_token":"tok-secret\r\nX-Evil: 1"}"#, "characters");
    check(r#"{"access_token":"tok secret"}"#, "characters");
    check(r#"{"access_token":"tök"}"#, "characters");
    check(r#"{"access_token":"tok-secret","token_type":"mac"}"#, "not a bearer token");
    check(r#"{"access_token":"tok-secret","token_type":"DPoP"}"#, "not a bearer token");
    check(r#"{"access_token":"tok-secret","token_type":7}"#, "`token_type` that is not a string");
    check(r#"{"access_token":"tok-secret","scope":7}"#, "`scope` that is not a string");
    check(&format!(r#"{{"access_token":"{}"}}"#, "x".repeat(70_000)), "too long");
}

#[test]
fn a_scope_that_repeats_the_token_is_not_shown() {
    let error = body(r#"{"access_token":"tok-secret","scope":"a tok-secret"}"#).unwrap_err();
    assert!(error.message().contains("the server granted `a ***`"), "{error}");
    assert_clean(&error);
}

#[test]
fn an_impossible_lifetime_counts_as_none() {
    let lifetime = |expires_in: &str| {
        let token = body(&format!(r#"{{"access_token":"tok","expires_in":{expires_in}}}"#));
        token.unwrap_or_else(|error| panic!("{expires_in}: {error}")).lifetime.unwrap()
    };
    for expires_in in ["0", "-5", "-1e300", "1e300", "315360001", r#""-1""#, r#""NaN""#, r#""inf""#, "null"] {
        assert_eq!(lifetime(expires_in), Duration::from_secs(3600), "{expires_in}");
    }
    for expires_in in [r#""soon""#, "true", "[]", "{}", r#""""#] {
        assert_eq!(lifetime(expires_in), Duration::from_secs(3600), "{expires_in}");
    }
    assert_eq!(lifetime("60"), Duration::from_secs(60));
}

#[test]
fn an_error_with_a_good_status_is_shown() {
    let check = |text: &str, class, shown: &str, hint: &str| {
        let error = body(text).unwrap_err();
        assert_eq!((error.kind(), error.class(), error.http_status()), (ErrorKind::Auth, class, Some(200)), "{error}");
        assert!(error.message().ends_with(shown), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{error:?}");
        assert_clean(&error);
    };
    let (permanent, transient) = (Class::Permanent, Class::Transient);
    check(
        r#"{"error":"invalid_client"}"#,
        permanent,
        "status 200 with the error invalid_client",
        "oauth.client_secret",
    );
    check(
        r#"{"error":"invalid_scope","error_description":"no \u001b[31m\n for client-4711","token":"tok-secret"}"#,
        permanent,
        r"invalid_scope: no \u{1b}[31m\n for ***",
        "oauth.scope",
    );
    check(r#"{"error":"unsupported_grant_type"}"#, permanent, "unsupported_grant_type", "client_credentials");
    check(r#"{"error":"temporarily_unavailable"}"#, transient, "temporarily_unavailable", "wait");
}

/// A cache that has had a token, `good`, which it uses no more; then the endpoint answers `bad` for `refusals` times.
fn after_a_token(bad: String, refusals: usize) -> (TestServer, TokenCache, Arc<HandClock>) {
    let server = TestServer::http(move |number, peer| match number {
        0 => peer.send(token_response("good")),
        number if number <= refusals => peer.send(&bad),
        _ => peer.send(token_response("again")),
    });
    let clock = HandClock::new();
    let tokens =
        TokenCache::new(&server.config(), StopSignal::new(), Arc::clone(&clock) as _, Arc::new(|_| ())).unwrap();
    tokens.discard(&tokens.token(None).unwrap());
    (server, tokens, clock)
}

#[test]
fn after_a_token_no_status_alone_is_permanent() {
    let check = |status: &str, headers: &str, text: &str| {
        let (_server, tokens, _) = after_a_token(response(status, headers, text), 1);
        let error = tokens.token(None).unwrap_err();
        assert_eq!(error.class(), Class::Transient, "{status}: {error}");
        assert_eq!(error.http_status(), Some(status[..3].parse().unwrap()), "{error}");
        assert_eq!(tokens.token(None).unwrap().secret(), "again", "{status}");
        error
    };
    let error = check("403 Forbidden", "Content-Type: text/html\r\n", "<html>Access denied</html>");
    assert!(error.hint().unwrap().starts_with("wait: "), "{error:?}");
    check("404 Not Found", "", "default backend - 404");
    check("308 Moved", "Location: https://elsewhere/t\r\n", "");
    for status in ["400 Bad Request", "401 Unauthorized", "405 Not Allowed", "410 Gone", "301 Moved", "503 Busy"] {
        check(status, "", "");
        check(status, "", r#"{"message":"invalid_client"}"#);
    }
    check("400 Bad Request", "", r#"{"error":"server_error"}"#);
    check("500 Oops", "", r#"{"error":"invalid_client"}"#);
    check("200 OK", "", r#"{"error":"invalid_client"}"#);
}

#[test]
fn after_a_token_the_endpoints_own_refusal_is_permanent_when_it_lasts() {
    let check = |status: &str, text: &str, hint: &str| {
        let (_server, tokens, clock) = after_a_token(response(status, "", text), 9);
        let mut classes = Vec::new();
        for at in [0, 100, 200] {
            clock.move_to(Duration::from_secs(at));
            let error = tokens.token(None).unwrap_err();
            assert!(error.hint().unwrap().contains(hint), "{error:?}");
            classes.push(error.class());
        }
        assert_eq!(classes, [Class::Transient, Class::Transient, Class::Permanent], "{text}");
    };
    check("401 Unauthorized", r#"{"error":"invalid_client"}"#, "oauth.client_secret");
    check("400 Bad Request", r#"{"error":"invalid_grant"}"#, "oauth.client_secret");
    check("400 Bad Request", r#"{"error":"unauthorized_client"}"#, "client_credentials");
    check("400 Bad Request", r#"{"error":"unsupported_grant_type"}"#, "client_credentials");
    check("400 Bad Request", r#"{"error":"invalid_scope"}"#, "oauth.scope");
    check("200 OK", r#"{"error":"invalid_client"}"#, "oauth.client_secret");
    check("200 OK", r#"{"access_token":"tok","scope":"other"}"#, "oauth.scope");
}

#[test]
fn after_a_token_a_missing_secret_file_is_waited_for() {
    let server = TestServer::http(|number, peer| peer.send(token_response(&format!("token-{number}"))));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, "first\n").unwrap();
    let mut config = server.config();
    config.oauth.client_secret = None;
    config.oauth.client_secret_file = Some(file.clone());
    let tokens = source(&config);
    tokens.discard(&tokens.token(None).unwrap());
    std::fs::remove_file(&file).unwrap();
    let error = tokens.token(None).unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Config, Class::Transient), "{error}");
    std::fs::write(&file, "second\n").unwrap();
    assert_eq!(tokens.token(None).unwrap().secret(), "token-1");
}

#[test]
fn every_status_can_request_a_wait() {
    let check = |status: &'static str| {
        let server = TestServer::http(move |number, peer| match number {
            0 => peer.send(response(status, "Retry-After: 60\r\n", "")),
            _ => peer.send(token_response("late")),
        });
        let clock = HandClock::new();
        let tokens =
            TokenCache::new(&server.config(), StopSignal::new(), Arc::clone(&clock) as _, Arc::new(|_| ())).unwrap();
        assert_eq!(tokens.token(None).unwrap_err().http_status(), Some(status[..3].parse().unwrap()));
        // The last of it is real time.
        let rest = Duration::from_millis(100);
        clock.move_to(Duration::from_millis(59_900));
        let begin = Instant::now();
        assert_eq!(tokens.token(None).unwrap().secret(), "late");
        assert!(begin.elapsed() >= rest, "{status}");
    };
    check("503 Busy");
    check("500 Oops");
    check("418 Teapot");
}

#[test]
fn a_missing_scope_is_permanent_and_named() {
    let check = |text: &str, granted: &str| {
        let error = body(text).unwrap_err();
        assert_eq!((error.kind(), error.class()), (ErrorKind::Auth, Class::Permanent));
        assert!(error.message().contains("lacks the scope data-actions:read"), "{error}");
        assert!(error.message().contains(granted), "{error}");
        assert!(error.hint().unwrap().contains("oauth.scope"));
        assert_clean(&error);
    };
    check(r#"{"access_token":"tok-secret","scope":"other data-actions:readonly"}"#, "`other data-actions:readonly`");
    check(r#"{"access_token":"tok-secret","scope":""}"#, "``");
}

#[test]
fn a_status_becomes_an_error_with_the_body() {
    use Class::{Permanent, Transient};
    use ErrorKind::{Auth, Config, Connect, Protocol};
    let check = |status: &str, headers: &str, kind, class, hint: &str| {
        let text = "{\"error\":\"x\"} hunter2&co hunter2%26co client-4711\r\n\u{1b}[31m";
        let error = answered(response(status, headers, text)).unwrap_err();
        assert_eq!((error.kind(), error.class()), (kind, class), "{error}");
        assert_eq!(error.http_status(), Some(status[..3].parse().unwrap()));
        assert!(error.message().contains(&format!("status {}", &status[..3])), "{error}");
        assert!(error.message().contains(r#": {"error":"x"} *** *** ***\r\n\u{1b}[31m"#), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{error:?}");
        assert_clean(&error);
        error
    };
    check("400 Bad Request", "", Auth, Permanent, "oauth.client_secret");
    check("401 Unauthorized", "WWW-Authenticate: Basic\r\n", Auth, Permanent, "oauth.client_secret");
    check("403 Forbidden", "", Auth, Permanent, "oauth.scope");
    check("404 Not Found", "", Config, Permanent, "oauth.url");
    check("418 Teapot", "", Protocol, Transient, "oauth.url");
    check("500 Oops", "", Connect, Transient, "later");
    check("503 Busy", "", Connect, Transient, "later");
    check("301 Moved", "Location: https://elsewhere/t?x=hunter2\r\n", Config, Permanent, "new address");
    let error = check("302 Found", "Location: https://elsewhere/t?x=hunter2\r\n", Protocol, Transient, "redirects");
    assert!(error.message().contains("a redirect to https://elsewhere/t:"), "{error}");

    let error = answered(response("400 Bad Request", "", r#"{"error":"invalid_scope"}"#)).unwrap_err();
    assert!(error.hint().unwrap().contains("oauth.scope"), "{error:?}");
    for body in [r#"{"access_token":"tok-secret"}"#, "refresh_token=tok-secret", r#"{"m":"{\"id_token\":\"tok-secret"#]
    {
        let error = answered(response("500 Oops", "", body)).unwrap_err();
        assert!(error.message().ends_with("status 500: (the body is not shown: it may hold a token)"), "{error}");
        assert_clean(&error);
    }
    let error = answered(response("500 Oops", "", &"é".repeat(40_000))).unwrap_err();
    assert!(error.message().ends_with(&format!("{}…", "é".repeat(500))), "long bodies are cut");
}

#[test]
fn a_429_is_retried_three_times() {
    let serve = |refusals| {
        TestServer::http(move |number, peer| {
            if number < refusals {
                peer.send(response("429 Slow Down", "Retry-After: 0\r\n", ""));
            } else {
                peer.send(token_response("late"));
            }
        })
    };
    let impatient = |server: &TestServer| {
        let mut config = server.config();
        config.retry.delay_min = Duration::from_millis(10);
        source(&config)
    };
    let server = serve(3);
    assert_eq!(impatient(&server).token(None).unwrap().secret(), "late");
    assert_eq!(server.requests.lock().unwrap().len(), 4);

    let server = serve(4);
    let error = impatient(&server).token(None).unwrap_err();
    assert_eq!((error.kind(), error.class(), error.http_status()), (ErrorKind::Connect, Class::Transient, Some(429)));
    assert_eq!(server.requests.lock().unwrap().len(), 4, "one request and three retries");
}

#[test]
fn a_server_that_is_no_token_endpoint_is_named() {
    let check = |text: &'static [u8], kind, why: &str| {
        let error = answered(text).unwrap_err();
        assert_eq!((error.kind(), error.class()), (kind, Class::Transient), "{error}");
        assert!(error.message().contains(why), "{error}");
        assert!(error.hint().is_some());
        assert_clean(&error);
    };
    check(b"", ErrorKind::Connect, "closed the connection");
    check(b"HTTP/1.1 200 OK\r\nContent-Le", ErrorKind::Connect, "closed the connection");
    check(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"access", ErrorKind::Connect, "closed the connection");
    check(b"SSH-2.0-OpenSSH_9.6\r\n", ErrorKind::Protocol, "did not answer in HTTP");
    check(b"\x00\xff\x13\x37\r\n\r\n", ErrorKind::Protocol, "did not answer in HTTP");
    check(b"{\"access_token\":\"tok-secret\"}\r\n\r\n", ErrorKind::Protocol, "JSON without a head");
    check(b"access_token=tok-secret\r\n\r\n", ErrorKind::Protocol, "did not answer in HTTP");
    check(b"HTTP/1.1 200 OK\r\ntok-secret\r\n\r\n", ErrorKind::Protocol, "did not answer in HTTP");
}

#[test]
fn http_1_0_is_understood() {
    assert_eq!(answered("HTTP/1.0 200 OK\r\n\r\n{\"access_token\":\"old\"}").unwrap().secret(), "old");
}

#[test]
fn refused_and_unknown_hosts_are_named() {
    let server = TestServer::http(|_, _| ());
    let mut config = server.config();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    config.oauth.url = format!("http://{closed}/token");
    let error = source(&config).token(None).unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Connect, Class::Transient));
    assert!(error.message().contains(&format!("connecting to {closed}: ")), "{error}");
    assert!(error.message().contains("refused"), "{error}");

    // A label longer than 63 characters is refused by the resolver itself, with no query to a server.
    let host = format!("{}.invalid", "x".repeat(64));
    config.oauth.url = format!("https://{host}/token");
    let tls = TestServer::tls(|_| ());
    // The name in the certificate is another matter.
    config.tls = crate::config::TlsConfig { server_name: Some("localhost".into()), ..tls.config().tls };
    let error = source(&config).token(None).unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Connect, Class::Transient));
    assert!(error.message().contains(&format!("resolving the name {host}")), "{error}");
}

#[test]
fn silence_ends_with_the_timeout() {
    let server = TestServer::http(|_, peer| drop(peer.wait_for_end()));
    let mut config = server.config();
    config.oauth.request_timeout = Duration::from_millis(100);
    let error = source(&config).token(None).unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Connect, Class::Transient));
    assert!(error.message().contains("did not answer within 100ms"), "{error}");
}

#[test]
fn a_stop_ends_a_request_and_a_wait() {
    let check = |script: fn(&mut crate::source::test_server::Peer)| {
        let (arrived, has_arrived) = mpsc::channel();
        let server = TestServer::http(move |_, peer| {
            script(peer);
            // A client that tries again sends twice; there is no receiver any more then.
            let _ = arrived.send(());
            peer.wait_for_end();
        });
        let stop = StopSignal::new();
        let tokens = TokenCache::new(&server.config(), stop.clone(), Arc::new(SystemClock), Arc::new(|_| ())).unwrap();
        let stopping = stop_when(&stop, has_arrived);
        let error = tokens.token(None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::State, "{error}");
        assert!(stopping.join().unwrap().elapsed() < Duration::from_secs(1));
    };
    check(|_| ());
    check(|peer| peer.send("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"));
    check(|peer| peer.send(response("429 Slow Down", "Retry-After: 60\r\n", "")));
}

#[test]
fn tls_accepts_a_known_authority_and_names_the_fault_of_others() {
    let check = |is_known: bool| {
        let server = TestServer::tls(|stream| {
            let mut byte = [0];
            let mut seen = Vec::new();
            while !seen.ends_with(b"scope=data-actions%3Aread")
                && std::io::Read::read(stream, &mut byte).unwrap_or(0) > 0
            {
                seen.push(byte[0]);
            }
            let _ = std::io::Write::write_all(stream, token_response("over-tls").as_bytes());
        });
        let mut config = server.config();
        config.oauth.url = format!("https://localhost:{}/token", server.address.port());
        let other = TestServer::tls(|_| ());
        if !is_known {
            config.tls = other.config().tls;
        }
        source(&config).token(None)
    };
    assert_eq!(check(true).unwrap().secret(), "over-tls");
    let error = check(false).unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Connect, Class::Transient));
    assert!(error.message().contains("TLS with localhost:"), "{error}");
    assert!(error.hint().unwrap().contains("authority"), "{error:?}");

    let plain = TestServer::raw(|mut stream| {
        let _ = std::io::Write::write_all(&mut stream, b"SSH-2.0-OpenSSH_9.6\r\n");
        let _ = std::io::Read::read_to_end(&mut stream, &mut Vec::new());
    });
    let tls = TestServer::tls(|_| ());
    let mut config = tls.config();
    config.oauth.url = format!("https://127.0.0.1:{}/token", plain.address.port());
    let error = source(&config).token(None).unwrap_err();
    assert!(error.hint().unwrap().contains("does not seem to speak TLS"), "{error:?}");
}

#[test]
fn a_secret_file_is_read_again_for_each_token() {
    let server = TestServer::http(|number, peer| peer.send(token_response(&format!("token-{number}"))));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, "first\n").unwrap();
    let mut config = server.config();
    config.oauth.client_secret = None;
    config.oauth.client_secret_file = Some(file.clone());
    let tokens = source(&config);
    let token = tokens.token(None).unwrap();
    std::fs::write(&file, "second\n").unwrap();
    tokens.discard(&token);
    tokens.token(None).unwrap();
    let requests = server.requests.lock().unwrap();
    assert!(requests[0].contains("client_secret=first&") && requests[1].contains("client_secret=second&"));
}

#[test]
fn a_missing_setting_is_found_at_once() {
    let check = |change: fn(&mut Config), why: &str| {
        let mut config = TestServer::http(|_, _| ()).config();
        change(&mut config);
        let error = TokenCache::new(&config, StopSignal::new(), Arc::new(SystemClock), Arc::new(|_| ())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(why), "{error}");
    };
    check(|config| config.oauth.client_id = None, "oauth.client_id");
    check(|config| config.oauth.client_secret = None, "oauth.client_secret");
    check(|config| config.oauth.url = "http://example.com/token".into(), "unencrypted");
}

/// Two streams of one configuration, and one with another secret.
fn streams(server: &TestServer) -> Config {
    let mut config = server.config();
    for name in ["sales", "support", "other"] {
        config.set(&format!("streams.{name}.id"), name).unwrap();
    }
    config.set("streams.other.oauth.client_secret", "another").unwrap();
    config
}

#[test]
fn streams_with_equal_sections_share_a_token_and_one_request() {
    let (server, has_arrived, release) = held(|number| token_response(&format!("token-{number}")));
    let config = streams(&server);
    let (events, seen) = mpsc::channel();
    let tokens = |name: &str| {
        let (name, events) = (name.to_owned(), events.clone());
        let own = config.for_stream(&name).unwrap();
        let observer: Observer = Arc::new(move |event| events.send((name.clone(), event)).unwrap());
        Arc::new(TokenCache::new(&own, StopSignal::new(), Arc::new(SystemClock), observer).unwrap())
    };
    let (sales, support, other) = (tokens("sales"), tokens("support"), tokens("other"));
    let call = |tokens: &Arc<TokenCache>| {
        let tokens = Arc::clone(tokens);
        thread::spawn(move || tokens.token(None).unwrap())
    };
    let first = call(&sales);
    has_arrived.recv_timeout(PATIENCE).unwrap();
    let second = call(&support);
    release.send(()).unwrap();
    let (first, second) = (first.join().unwrap(), second.join().unwrap());
    assert_eq!((first.secret(), first.fresh), ("token-0", true));
    assert_eq!((second.secret(), second.fresh), ("token-0", false));
    release.send(()).unwrap();
    assert_eq!(other.token(None).unwrap().secret(), "token-1", "with a secret of its own");
    // What one has used up, the other one does not use either.
    support.discard(&second);
    release.send(()).unwrap();
    assert_eq!(sales.token(None).unwrap().secret(), "token-2");
    assert_eq!(support.token(None).unwrap().secret(), "token-2");
    assert_eq!(server.requests.lock().unwrap().len(), 3);
    let seen: Vec<(String, bool)> =
        seen.try_iter().map(|(name, event)| (name, matches!(event, SourceEvent::TokenFetched { .. }))).collect();
    let expected = [("sales", true), ("support", false), ("other", true), ("sales", true), ("support", false)];
    assert_eq!(seen, expected.map(|(name, is_fetched)| (name.to_owned(), is_fetched)));
}

#[test]
fn a_stop_of_one_stream_leaves_the_request_of_another_alone() {
    let (server, has_arrived, release) = held(|_| token_response("one"));
    let config = streams(&server);
    let tokens = |name: &str, stop: &StopSignal| {
        let own = config.for_stream(name).unwrap();
        Arc::new(TokenCache::new(&own, stop.clone(), Arc::new(SystemClock), Arc::new(|_| ())).unwrap())
    };
    let stop = StopSignal::new();
    let (sales, support) = (tokens("sales", &StopSignal::new()), tokens("support", &stop));
    let flying = Arc::clone(&sales);
    let flying = thread::spawn(move || flying.token(None).map(|token| token.secret().to_owned()));
    has_arrived.recv_timeout(PATIENCE).unwrap();
    let waiting = thread::spawn(move || support.token(None).err());
    stop.set();
    assert!(waiting.join().unwrap().is_some(), "it was stopped while it waited");
    release.send(()).unwrap();
    assert_eq!(flying.join().unwrap().unwrap(), "one");
}
