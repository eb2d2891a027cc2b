//! The token endpoint that an issuer names, from the configuration to the token.

use crate::error::{Class, ErrorKind};
use crate::source::oauth::token::*;
use crate::source::test_server::{Peer, TestServer, response, token_response};
use crate::time::clock::SystemClock;

const DOCUMENT: &str = "GET /.well-known/openid-configuration HTTP/1.1\r\n";

/// The configuration of this server as an issuer, with something behind its address.
fn config(server: &TestServer, path: &str) -> Config {
    let mut config = server.config();
    config.oauth.url = Config::default().oauth.url;
    config.oauth.discovery = Some(format!("http://{}{path}", server.address));
    config
}

fn tokens(config: &Config) -> TokenCache {
    TokenCache::new(config, StopSignal::new(), Arc::new(SystemClock), Arc::new(|_| ())).unwrap()
}

/// This server's own address, by the request.
fn here(peer: &Peer) -> String {
    format!("http://{}", peer.header("host").unwrap())
}

fn document(issuer: &str, endpoint: &str) -> String {
    let body = format!(r#"{{"issuer":"{issuer}","token_endpoint":"{endpoint}","jwks_uri":"https://x/"}}"#);
    response("200 OK", "Content-Type: application/json; charset=utf-8\r\n", &body)
}

/// The error after this answer of the issuer, in which HERE is its address. No secret may reach anybody then.
fn refused(answer: &str) -> Error {
    let answer = answer.to_owned();
    let server = TestServer::http(move |_, peer| peer.send(answer.replace("HERE", &here(peer))));
    let error = tokens(&config(&server, "")).token(None).unwrap_err();
    let requests = server.requests.lock().unwrap();
    assert!(requests.len() == 1 && requests[0].starts_with(DOCUMENT), "{requests:?}");
    assert!(!requests[0].contains("hunter2"), "{requests:?}");
    let expected =
        format!("looking up the token endpoint at http://{}/.well-known/openid-configuration: ", server.address);
    assert!(error.message().starts_with(&expected), "{error}");
    assert!(!format!("{error:?}").contains("hunter2") && error.hint().is_some(), "{error:?}");
    error
}

/// With the length, because HERE is longer or shorter than an address.
fn without_length(answer: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let head: Vec<&str> = head.lines().filter(|line| !line.starts_with("Content-Length")).collect();
    format!("{}\r\n\r\n{body}", head.join("\r\n"))
}

#[test]
fn the_endpoint_is_looked_up_once() {
    let server = TestServer::http(|number, peer| {
        let here = here(peer);
        match number {
            // As it calls itself, with a slash at its end.
            0 => peer.send(document(&format!("{here}/tenant/"), &format!("{here}/token?k=v"))),
            _ => peer.send(token_response(&format!("token-{number}"))),
        }
    });
    let tokens = tokens(&config(&server, "/tenant"));
    for expected in ["token-1", "token-2"] {
        let token = tokens.token(None).unwrap();
        assert_eq!(token.secret(), expected);
        tokens.discard(&token);
    }
    let found = tokens.route().unwrap().unwrap();
    assert!(found.is_discovered && found.route.address.to_string().ends_with("/token"));
    let requests = server.requests.lock().unwrap();
    let lines: Vec<&str> = requests.iter().map(|request| request.lines().next().unwrap()).collect();
    let token = "POST /token?k=v HTTP/1.1";
    assert_eq!(lines, ["GET /tenant/.well-known/openid-configuration HTTP/1.1", token, token]);
    assert!(requests[0].to_ascii_lowercase().contains("\r\naccept: application/json\r\n"), "{}", requests[0]);
    assert!(requests[0].ends_with("\r\n\r\n"), "{}", requests[0]);
}

#[test]
fn a_failed_request_has_the_issuer_asked_again() {
    let server = TestServer::http(move |number, peer| {
        let here = here(peer);
        match number {
            0 => peer.send(document(&here, &format!("{here}/old"))),
            2 => peer.send(document(&here, &format!("{here}/new"))),
            _ if peer.request.starts_with("POST /new ") => peer.send(token_response("tok")),
            _ => peer.send(response("503 Busy", "", "")),
        }
    });
    let tokens = tokens(&config(&server, ""));
    let error = tokens.token(None).unwrap_err();
    assert!(
        error.message().contains(&format!("getting a token from http://{}/old: status 503", server.address)),
        "{error}"
    );
    assert_eq!(tokens.token(None).unwrap().secret(), "tok");
    let requests = server.requests.lock().unwrap();
    let lines: Vec<&str> = requests.iter().map(|request| request.lines().next().unwrap()).collect();
    let document = DOCUMENT.trim_end();
    assert_eq!(lines, [document, "POST /old HTTP/1.1", document, "POST /new HTTP/1.1"]);
}

#[test]
fn a_document_that_cannot_be_trusted_is_refused_before_any_secret_is_sent() {
    use Class::{Permanent, Transient};
    let check = |issuer: &str, endpoint: &str, class, why: &str, hint: &str| {
        let error = refused(&without_length(&document(issuer, endpoint)));
        assert!(error.message().contains(why), "{error} does not say {why}");
        assert!(error.hint().unwrap().contains(hint), "{error:?}");
        assert_eq!(error.class(), class, "{error}");
    };
    check(
        "https://evil.example",
        "HERE/token",
        Permanent,
        "another issuer's: `https://evil.example`",
        "oauth.discovery",
    );
    check("HERE.evil.example", "HERE/token", Permanent, "another issuer's", "oauth.discovery");
    check("HERE/tenant", "HERE/token", Permanent, "another issuer's", "oauth.discovery");
    check("HERE", "http://token.example/token", Permanent, "unencrypted to \"token.example\"", "https://");
    check("HERE", "https://me:pw@token.example/", Permanent, "its `token_endpoint`: credentials", "oauth.url");
    check("HERE", "ftp://token.example/", Permanent, "its `token_endpoint`: the scheme", "oauth.url");
    check("HERE", "/token", Permanent, "its `token_endpoint`: not a URL", "oauth.url");
    check("HERE", "HERE/.well-known/openid-configuration", Transient, "names itself", "oauth.discovery");
}

#[test]
fn garbage_and_refusals_of_the_issuer_are_named() {
    use Class::{Permanent, Transient};
    use ErrorKind::{Config, Connect, Protocol};
    let check = |answer: &str, kind, class, why: &str, hint: &str| {
        let error = refused(answer);
        assert_eq!((error.kind(), error.class()), (kind, class), "{error}");
        assert!(error.message().contains(why), "{error} does not say {why}");
        assert!(error.hint().unwrap().contains(hint), "{error:?} does not say {hint}");
    };
    let ok = |body: &str| response("200 OK", "", body);
    check(&ok(""), Protocol, Transient, "is not JSON", "oauth.discovery");
    check(&ok("<html>"), Protocol, Transient, "is not JSON", "oauth.discovery");
    check(&ok("[]"), Protocol, Transient, "is not a JSON object", "oauth.discovery");
    check(&ok("{}"), Protocol, Transient, "names no `issuer`", "oauth.discovery");
    check(&ok(r#"{"issuer":7}"#), Protocol, Transient, "names no `issuer`", "oauth.discovery");
    check(
        "HTTP/1.1 200 OK\r\n\r\n{\"issuer\":\"HERE\"}",
        Protocol,
        Transient,
        "names no `token_endpoint`",
        "oauth.url",
    );
    check(&ok(&"x".repeat(10 << 20)), Protocol, Transient, "too long", "oauth.discovery");
    check(
        "SSH-2.0-OpenSSH_9.6\r\n",
        Protocol,
        Transient,
        "did not answer in HTTP",
        "this does not look like an issuer",
    );
    check("", Connect, Transient, "closed the connection", "check oauth.discovery");
    let circle = "Location: HERE/.well-known/openid-configuration\r\n";
    check(
        &response("302 Found", circle, ""),
        Protocol,
        Transient,
        "a redirect to http://",
        "redirects are not followed",
    );
    check(&response("301 Moved", circle, ""), Config, Permanent, "a redirect to http://", "at the new address");
    check(
        &response("404 Not Found", "", "nothing"),
        Config,
        Permanent,
        "status 404: nothing",
        "no openid-configuration",
    );
    check(&response("403 Forbidden", "", ""), Config, Permanent, "status 403", "oauth.url");
    check(&response("429 Slow Down", "", ""), Connect, Transient, "status 429", "wait");
    check(&response("503 Busy", "", ""), Connect, Transient, "status 503", "wait");
    check(&response("418 Teapot", "", ""), Protocol, Transient, "status 418", "oauth.discovery");
}

#[test]
fn a_silent_issuer_and_a_silent_endpoint_end_with_one_timeout() {
    let check = |answers: usize, timeout: u64, what: &str| {
        let server = TestServer::http(move |number, peer| {
            if number < answers {
                let here = here(peer);
                peer.send(document(&here, &format!("{here}/token")));
            } else {
                peer.wait_for_end();
            }
        });
        let mut config = config(&server, "");
        config.oauth.request_timeout = Duration::from_millis(timeout);
        let error = tokens(&config).token(None).unwrap_err();
        assert_eq!((error.kind(), error.class()), (ErrorKind::Connect, Class::Transient));
        assert!(error.message().starts_with(what), "{error}");
        assert!(
            error.message().contains(&format!("did not answer within {:?}", Duration::from_millis(timeout))),
            "{error}"
        );
    };
    check(0, 100, "looking up the token endpoint at ");
    check(1, 1500, "getting a token from ");
}

#[test]
fn an_issuer_may_request_a_wait() {
    let server = TestServer::http(|_, peer| peer.send(response("429 Slow Down", "Retry-After: 60\r\n", "")));
    let stop = StopSignal::new();
    let tokens = TokenCache::new(&config(&server, ""), stop.clone(), Arc::new(SystemClock), Arc::new(|_| ())).unwrap();
    assert_eq!(tokens.token(None).unwrap_err().http_status(), Some(429));
    stop.set();
    // This one would wait for a minute.
    assert_eq!(tokens.token(None).unwrap_err().kind(), ErrorKind::State);
    assert_eq!(server.requests.lock().unwrap().len(), 1);
}
