//! The places of the token, further headers, the subprotocol.

use super::opening_tests::with;
use super::tests::*;
use super::*;
use crate::source::test_server::{TestServer, response};

#[test]
fn a_token_in_the_query_is_sent_there_and_shown_nowhere() {
    let server = TestServer::stream(|number, peer| {
        if number == 0 {
            peer.send(response("400 Bad", "Location: /stream?access_token=token-0\r\n", &peer.request.clone()));
        } else {
            peer.open(b"");
            peer.wait_for_end();
        }
    });
    let url = format!("ws://{}/stream/{{stream_id}}?v=1", server.address);
    let mut source = source(&with(&server, &[("stream.url", &url), ("stream.token_in", "query:access_token")]));
    let error = source.connect(&mut Burst::default()).unwrap_err();
    assert!(error.message().contains("/stream/s-1: ") && error.message().contains("access_token=***"), "{error}");
    assert_clean(&error);
    assert!(!format!("{source:?}").contains("v=1"), "{source:?}");
    source.connect(&mut Burst::default()).unwrap();
    let request = server.requests.lock().unwrap()[1].clone();
    assert!(request.starts_with("GET /stream/s-1?v=1&access_token=token-0 HTTP/1.1\r\n"), "{request}");
    assert!(!request.contains("Authorization"), "{request}");
}

#[test]
fn the_subprotocol_must_be_agreed_on() {
    let check = |requested: &str, chosen: &'static str, why: Option<&str>| {
        let server = TestServer::stream(move |_, peer| {
            let header =
                if chosen.is_empty() { String::new() } else { format!("Sec-WebSocket-Protocol: {chosen}\r\n") };
            peer.send(peer.good_response("Upgrade").replace("\r\n\r\n", &format!("\r\n{header}\r\n")));
            peer.wait_for_end();
        });
        let settings = [("stream.subprotocol", requested)];
        let settings = if requested.is_empty() { &[][..] } else { &settings };
        let connected = source(&with(&server, settings)).connect(&mut Burst::default());
        match (connected, why) {
            (Ok(()), None) => {}
            (Err(error), Some(why)) => {
                assert!(error.message().contains(why), "{error}");
                assert!(error.hint().unwrap().starts_with("set stream.subprotocol"), "{error:?}");
            }
            (connected, why) => panic!("{requested} {chosen}: {connected:?}, {why:?}"),
        }
        let request = server.requests.lock().unwrap()[1].clone();
        let sent = format!("Sec-WebSocket-Protocol: {requested}\r\n");
        assert_eq!(request.contains(&sent), !requested.is_empty(), "{request}");
    };
    check("", "", None);
    check("v1.bus", "v1.bus", None);
    check("v2.bus, v1.bus", "v1.bus", None);
    check("v1.bus", "", Some("does not agree to the subprotocol (stream.subprotocol)"));
    check("v1.bus", "v2.bus", Some("chooses another subprotocol"));
    check("v1.bus", "v1", Some("chooses another subprotocol"));
    check("", "v1.bus", Some("a subprotocol that was not requested"));
}

#[test]
fn headers_from_files_are_read_again_and_hidden() {
    let server = TestServer::stream(|_, peer| {
        peer.send(response("400 Bad", "", &peer.request.clone()));
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "hunter2-a\n").unwrap();
    let files = format!("{{ \"X-Key\" = \"{}\" }}", file.path().display());
    let settings = [("stream.headers", r#"{ "X-Tenant" = "hunter2-t" }"#), ("stream.headers_file", &files)];
    let mut source = source(&with(&server, &settings));
    for value in ["hunter2-a", "hunter2-b"] {
        std::fs::write(file.path(), value).unwrap();
        let error = source.connect(&mut Burst::default()).unwrap_err();
        assert!(error.message().contains("X-Tenant: ***"), "{error}");
        assert_clean(&error);
    }
    let requests = server.requests.lock().unwrap().clone();
    for (request, value) in requests[1..].iter().zip(["hunter2-a", "hunter2-b"]) {
        assert!(request.contains(&format!("\r\nX-Key: {value}\r\n")), "{request}");
        assert!(request.contains("\r\nX-Tenant: hunter2-t\r\n"), "{request}");
    }
}
