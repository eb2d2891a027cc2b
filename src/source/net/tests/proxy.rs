use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use crate::config::Config;
use crate::source::net::address::Purpose;
use crate::source::net::proxy::*;
use crate::source::net::route::{Connected, Route};
use crate::source::test_server::{PATIENCE, Peer, TestServer, TlsPeer, response, stop_when};
use crate::threads::stop_signal::StopSignal;

/// A server that greets its clients over TLS.
fn server() -> TestServer {
    TestServer::tls(|stream| {
        let _ = stream.write_all(b"hello");
        let _ = stream.flush();
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

/// A configuration of `server`, whose name only the proxy resolves.
fn config(server: &TestServer, proxy: &str) -> Config {
    let mut config = server.config();
    config.proxy.url = Some(proxy.into());
    config
}

fn open(config: &Config) -> Result<Connected> {
    open_url("https://api.example/token", config, Duration::from_secs(10))
}

fn open_url(url: &str, config: &Config, timeout: Duration) -> Result<Connected> {
    Route::new(Purpose::Token, url, config)?.open(timeout, &StopSignal::new())
}

fn greeting(mut connected: Connected) -> String {
    let mut greeting = [0; 5];
    connected.transport.read_exact(&mut greeting).unwrap();
    String::from_utf8(greeting.to_vec()).unwrap()
}

const ESTABLISHED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

/// Passes on bytes both ways until both ends are done.
fn tunnel(peer: &Peer, to: SocketAddr) {
    let server = TcpStream::connect(to).unwrap();
    let (mut from_client, mut to_server) = (peer.stream.try_clone().unwrap(), server.try_clone().unwrap());
    let there = thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(std::net::Shutdown::Write);
    });
    let _ = io::copy(&mut &server, &mut &peer.stream);
    there.join().unwrap();
}

#[test]
fn the_proxy_connects_to_name_and_port() {
    let server = server();
    let to = server.address;
    let proxy = TestServer::http(move |_, peer| {
        peer.send(ESTABLISHED);
        tunnel(peer, to);
    });
    let connected = open(&config(&server, &format!("http://{}", proxy.address))).unwrap();
    assert_eq!(greeting(connected), "hello");
    let request = proxy.requests.lock().unwrap()[0].clone();
    assert!(request.starts_with("CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\n"), "{request}");
    assert!(!request.contains("Authorization"), "{request}");
}

#[test]
fn a_response_in_pieces_is_a_response() {
    let server = server();
    let to = server.address;
    let proxy = TestServer::http(move |_, peer| {
        peer.stream.set_nodelay(true).unwrap();
        for byte in b"HTTP/1.0 200 OK\r\nProxy-Agent: slow\r\nContent-Length: 0\r\n\r\n" {
            peer.send([*byte]);
            thread::yield_now();
        }
        tunnel(peer, to);
    });
    let connected = open(&config(&server, &format!("http://{}", proxy.address))).unwrap();
    assert_eq!(greeting(connected), "hello");
}

#[test]
fn credentials_are_sent_and_a_password_file_is_read_again() {
    let server = server();
    let proxy = TestServer::http(|_, peer| peer.send(response("407 Proxy Authentication Required", "", "")));
    let authorization = |config: &Config| {
        let error = open(config).map(|_| ()).unwrap_err();
        assert_eq!(error.http_status(), Some(407));
        let request = proxy.requests.lock().unwrap().pop().unwrap();
        request.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: Basic ").map(str::to_owned)).unwrap()
    };
    // RFC 7617 section 2 has this one.
    let url = format!("http://Aladdin:open%20sesame@{}", proxy.address);
    assert_eq!(authorization(&config(&server, &url)), "QWxhZGRpbjpvcGVuIHNlc2FtZQ==");

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    let mut config = config(&server, &format!("http://Aladdin@{}", proxy.address));
    assert_eq!(authorization(&config), BASE64.encode("Aladdin:"));
    config.proxy.password_file = Some(file.clone());
    for password in ["first", "second"] {
        std::fs::write(&file, format!("{password}\n")).unwrap();
        assert_eq!(authorization(&config), BASE64.encode(format!("Aladdin:{password}")));
    }
}

#[test]
fn a_proxy_that_does_not_connect_is_quoted() {
    let server = server();
    let check = |text: &'static str, status: Option<u16>, why: &str, hint: &str| {
        let proxy = TestServer::http(move |_, peer| {
            peer.send(text);
            let _ = peer.stream.shutdown(std::net::Shutdown::Write);
            peer.wait_for_end();
        });
        let error = open(&config(&server, &format!("http://me:hunter2@{}", proxy.address))).map(|_| ()).unwrap_err();
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::Connect, status), "{error}");
        assert!(error.is_retryable(), "{error}");
        let about = "connecting to api.example:443 through the proxy";
        assert!(error.message().contains(about), "{error}");
        assert!(error.message().contains(&proxy.address.to_string()), "{error}");
        assert!(error.message().contains(why), "{why}: {error}");
        assert!(error.hint().unwrap().contains(hint), "{error:?}");
        let all = format!("{error:?}{}", error.detail_json());
        assert!(!all.contains("hunter2") && !all.contains(&BASE64.encode("me:hunter2")), "{all}");
    };
    let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: NTLM\r\n\r\n";
    check(refusal, Some(407), "status 407 Proxy Authentication Required", "proxy.password_file");
    check("HTTP/1.1 403 Forbidden\x1b[31m\r\n\r\n", None, "not HTTP/1.1", "proxy.url");
    check("HTTP/1.1 401 Unauthorized\r\n\r\n", Some(401), "status 401", "proxy.password_file");
    check("HTTP/1.1 403 Forbidden\r\n\r\n", Some(403), "status 403 Forbidden", "allow connections");
    check(
        "HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n",
        Some(302),
        "status 302",
        "redirects are not followed",
    );
    check("HTTP/1.1 502 \r\n\r\n", Some(502), "status 502", "resolve its name");
    check("HTTP/1.1 500 Oops\r\n\r\n", Some(500), "status 500 Oops", "proxy.url");
    // me:hunter2
    check("HTTP/1.1 400 Bad bWU6aHVudGVyMg==\r\n\r\n", Some(400), "status 400 Bad ***", "proxy.url");
    check("Proxy-Authorization: Basic bWU6aHVudGVyMg==\r\n", None, ": Proxy-Authorization: Basic ***", "proxy.url");
    check("", None, "closed the connection without a response", "proxy.url");
    check("HTTP/1.1 200 OK\r\nX:", None, "closed the connection without a response", "proxy.url");
    check("SSH-2.0-OpenSSH_9.6\r\n", None, "is not HTTP/1.1 (it does not begin with HTTP/1.): SSH-2.0", "proxy.url");
    check("HTTP/1.1 200 OK\r\n\r\nwelcome", None, "sent more after its response", "proxy.url");
}

#[test]
fn a_proxy_that_is_not_there_or_hangs_is_named() {
    let server = server();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = open(&config(&server, &format!("http://{closed}"))).map(|_| ()).unwrap_err();
    assert!(error.message().contains(&format!("the proxy {closed}: connecting to {closed}: ")), "{error}");
    assert!(error.hint().unwrap().contains("HTTPS_PROXY"), "{error:?}");

    for beginning in ["", "HTTP/1.1 200 O"] {
        let proxy = TestServer::http(move |_, peer| {
            peer.send(beginning);
            peer.wait_for_end();
        });
        let config = config(&server, &format!("http://{}", proxy.address));
        let error = open_url("https://api.example/", &config, Duration::from_millis(200)).map(|_| ()).unwrap_err();
        let expected = format!("through the proxy with {}: no answer within 200ms", proxy.address);
        assert!(error.message().contains(&expected), "{error}");
    }
}

#[test]
fn a_stop_ends_the_wait_for_a_proxy() {
    let server = server();
    let (sender, connected) = mpsc::channel();
    let proxy = TestServer::http(move |_, peer| {
        sender.send(()).unwrap();
        peer.wait_for_end();
    });
    let stop = StopSignal::new();
    let route =
        Route::new(Purpose::Token, "https://api.example/", &config(&server, &format!("http://{}", proxy.address)));
    let stopping = stop_when(&stop, connected);
    assert!(route.unwrap().open(PATIENCE, &stop).is_err());
    assert!(stopping.join().unwrap().elapsed() < Duration::from_secs(1));
}

#[test]
fn a_proxy_can_speak_tls_itself() {
    let server = server();
    let to = server.address;
    // Its certificate is not good for the server.
    let proxy = TestServer::tls_for(&["localhost"], move |stream| {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte).unwrap_or(0) == 0 {
                return;
            }
            request.push(byte[0]);
        }
        let _ = stream.write_all(ESTABLISHED.as_bytes());
        let _ = stream.flush();
        shuttle(stream, &TcpStream::connect(to).unwrap());
    });
    let mut config = config(&server, &format!("https://localhost:{}", proxy.address.port()));
    // Two authorities: the proxy's is not known at first.
    let error = open(&config).map(|_| ()).unwrap_err();
    assert!(error.message().contains("TLS with the proxy localhost:"), "{error}");
    assert!(error.message().contains("not trusted"), "{error}");
    let read = |server: &TestServer| std::fs::read_to_string(server.config().tls.ca_file.unwrap()).unwrap();
    let mut both = tempfile::NamedTempFile::new().unwrap();
    both.write_all((read(&server) + &read(&proxy)).as_bytes()).unwrap();
    config.tls.ca_file = Some(both.path().into());
    assert_eq!(greeting(open(&config).unwrap()), "hello");
    // The override is the server's.
    config.tls.server_name = Some("api.example".into());
    let connected = open_url("https://10.255.255.1:1/", &config, PATIENCE).unwrap();
    assert_eq!(greeting(connected), "hello");
}

/// Passes on bytes between a TLS session and a socket: one thread, since a session has one owner.
fn shuttle(stream: &mut TlsPeer, server: &TcpStream) {
    let turn = Some(Duration::from_millis(5));
    stream.sock.set_read_timeout(turn).unwrap();
    server.set_read_timeout(turn).unwrap();
    let until = Instant::now() + PATIENCE;
    let mut buffer = [0; 16 << 10];
    let pass = |read: io::Result<usize>, buffer: &[u8], to: &mut dyn io::Write| match read {
        Ok(0) => false,
        Ok(count) => to.write_all(&buffer[..count]).and_then(|()| to.flush()).is_ok(),
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    };
    while Instant::now() < until {
        let read = stream.read(&mut buffer);
        if !pass(read, &buffer, &mut &*server) {
            break;
        }
        let read = (&*server).read(&mut buffer);
        if !pass(read, &buffer, stream) {
            break;
        }
    }
}

#[test]
fn exceptions_and_plain_addresses_need_no_proxy() {
    let server = server();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = config(&server, &format!("http://{closed}"));
    let url = format!("https://localhost:{}/", server.address.port());
    // This machine is excepted by default.
    assert_eq!(greeting(open_url(&url, &config, PATIENCE).unwrap()), "hello");
    config.proxy.no_proxy = None;
    open_url(&url, &config, PATIENCE).map(|_| ()).unwrap_err();
    config.proxy.no_proxy = Some("example.com,localhost".into());
    assert_eq!(greeting(open_url(&url, &config, PATIENCE).unwrap()), "hello");

    // Without TLS the proxy would see the token.
    config.proxy.no_proxy = None;
    let plain = TestServer::raw(|mut stream| {
        let _ = stream.write_all(b"plain");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let connected = open_url(&format!("http://{}/", plain.address), &config, PATIENCE).unwrap();
    assert_eq!(greeting(connected), "plain");
}
