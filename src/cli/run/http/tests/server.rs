use std::io::{Read as _, Write as _};
use std::net::TcpStream as Client;
use std::time::Instant;

use super::*;
use crate::Sink;

fn server() -> (Server, Sink) {
    let mut config = Config::default();
    config.set("spool.path", ":memory:").unwrap();
    config.set("destination.url", "sqlite::memory:").unwrap();
    config.set("http.listen", "127.0.0.1:0").unwrap();
    let sink = Sink::open(&config).unwrap();
    (Server::start(&sink, &config, ConfigOrigin::default()).unwrap().unwrap(), sink)
}

const PATIENCE: Duration = Duration::from_secs(60);

fn connect(server: &Server) -> Client {
    let client = Client::connect(server.address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

/// What the server answers to these bytes, until it closes; empty if it only closes.
fn talk(server: &Server, request: &[u8]) -> String {
    let mut client = connect(server);
    // It may have closed already.
    let _ = client.write_all(request);
    read(&mut client)
}

fn read(client: &mut Client) -> String {
    let mut answer = Vec::new();
    match client.read_to_end(&mut answer) {
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => panic!("{error}"),
        _ => String::from_utf8(answer).unwrap(),
    }
}

const GET: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn a_connection_has_one_request() {
    let (server, _sink) = server();
    let answers = talk(&server, &GET.repeat(3));
    assert!(answers.starts_with("HTTP/1.1 200 OK\r\n"), "{answers}");
    assert_eq!(answers.matches("HTTP/1.1").count(), 1, "{answers}");
    assert!(answers.contains("connection: close\r\n") && answers.contains("\"status\":\"ok\""), "{answers}");
}

#[test]
fn the_answer_to_head_has_no_body() {
    let (server, _sink) = server();
    let answer = talk(&server, b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn large_and_broken_requests_are_refused() {
    let (server, _sink) = server();
    let large = [b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ".as_slice(), &vec![b'x'; 64 << 10], b"\r\n\r\n"].concat();
    let many = [b"GET / HTTP/1.1\r\n".as_slice(), &b"X: y\r\n".repeat(1000), b"\r\n"].concat();
    for bad in [&large, &many, &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec()] {
        let answer = talk(&server, bad);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert!(talk(&server, GET).starts_with("HTTP/1.1 200"), "and the next one is answered");
}

#[test]
fn slow_clients_do_not_keep_others_waiting() {
    let (server, _sink) = server();
    let mut slow: Vec<Client> = (0..5 * CONNECTIONS_MAX)
        .map(|_| {
            let mut client = connect(&server);
            client.write_all(b"GET /healthz HTTP/1.1\r\nHost: loc").unwrap();
            client
        })
        .collect();
    assert!(talk(&server, GET).starts_with("HTTP/1.1 200"));
    // The oldest ones were closed for it, and the newest are still served.
    assert_eq!(read(&mut slow[0]), "");
    let last = slow.last_mut().unwrap();
    last.write_all(b"alhost\r\n\r\n").unwrap();
    assert!(read(last).starts_with("HTTP/1.1 200"));
}

#[test]
fn a_connection_without_a_request_ends_by_itself() {
    let (server, _sink) = server();
    let started = Instant::now();
    assert_eq!(read(&mut connect(&server)), "");
    assert!(started.elapsed() >= CONNECTION_MAX, "{:?}", started.elapsed());
}

#[test]
fn a_request_that_comes_byte_by_byte_ends_all_the_same() {
    let (server, _sink) = server();
    let mut client = connect(&server);
    let started = Instant::now();
    // Until the server has closed: it resets the connection.
    for byte in GET[..GET.len() - 2].iter().cycle() {
        std::thread::sleep(Duration::from_millis(100));
        if client.write_all(&[*byte]).is_err() {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "it is still open");
    }
    assert!(started.elapsed() >= CONNECTION_MAX, "{:?}", started.elapsed());
}

#[test]
fn the_end_of_the_server_frees_the_port() {
    let (server, _sink) = server();
    let address = server.address;
    let _idle = connect(&server);
    drop(server);
    assert!(Client::connect(address).is_err());
}

#[test]
fn a_port_in_use_is_an_error_that_names_the_key() {
    let (server, sink) = server();
    let mut config = Config::default();
    config.set("http.listen", &server.address.to_string()).unwrap();
    let error = Server::start(&sink, &config, ConfigOrigin::default()).unwrap_err();
    assert!(error.message().starts_with("http.listen: listening on 127.0.0.1:"), "{error}");
}
