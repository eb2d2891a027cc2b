//! An issuer: its openid-configuration over real sockets.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

/// Status and body.
pub type Answer = (&'static str, String);

/// Answers every request with the status and the body that `answer` gives for its own URL; returns that.
pub fn issuer(answer: impl Fn(&str) -> Answer + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let here = url.clone();
    thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|read| read > 0) {
                request.push(byte[0]);
            }
            let (status, body) = answer(&here);
            let _ = client
                .write_all(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
        }
    });
    url
}

/// A document as the specification wants it.
pub fn document(issuer: &str, endpoint: &str) -> Answer {
    ("200 OK", format!(r#"{{"issuer":"{issuer}","token_endpoint":"{endpoint}"}}"#))
}
