//! A token endpoint and a stream whose conversation is a script of the test.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use tungstenite::{Message, WebSocket};

/// The token that the endpoint grants. It has what the spellings of URLs and JSON change.
pub const TOKEN: &str = "t0ken/of+4711\"=='end";

/// The server's side of one stream.
pub struct Talk(WebSocket<TcpStream>);

impl Talk {
    pub fn say(&mut self, text: &str) {
        // A client that is gone is not an error.
        let _ = self.0.send(Message::text(text));
    }

    /// The client's next message; `None` when it has gone.
    pub fn hear(&mut self) -> Option<String> {
        loop {
            match self.0.read() {
                Ok(Message::Text(text)) => return Some(text.as_str().to_owned()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Waits until the client has gone.
    pub fn wait(&mut self) {
        while self.hear().is_some() {}
    }

    pub fn close(&mut self, code: u16, reason: &str) {
        let frame = tungstenite::protocol::CloseFrame { code: code.into(), reason: reason.into() };
        let _ = self.0.close(Some(frame));
        self.wait();
    }
}

pub struct TalkingServer {
    pub address: SocketAddr,
}

impl TalkingServer {
    /// Grants tokens, and runs `script` for each stream.
    pub fn start(script: impl Fn(&mut Talk) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(script);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let script = Arc::clone(&script);
                thread::spawn(move || serve(client, &*script));
            }
        });
        Self { address }
    }

    pub fn token_url(&self) -> String {
        format!("http://{}/token", self.address)
    }

    pub fn stream_url(&self) -> String {
        format!("ws://{}/events", self.address)
    }
}

fn serve(mut client: TcpStream, script: &dyn Fn(&mut Talk)) {
    let mut first = [0];
    if client.peek(&mut first).is_ok() && first == *b"G" {
        if let Ok(socket) = tungstenite::accept(client) {
            script(&mut Talk(socket));
        }
        return;
    }
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && client.read_exact(&mut byte).is_ok() {
        request.push(byte[0]);
    }
    let body = serde_json::json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600}).to_string();
    let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let _ = client.write_all(response.as_bytes());
    let _ = client.shutdown(std::net::Shutdown::Write);
    let _ = client.read_to_end(&mut Vec::new());
}
