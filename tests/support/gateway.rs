//! A gateway before an HTTP server: it passes connections on, or answers itself while the server behind it is away.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::postgres::PATIENCE;
use super::proxy::pass;

/// The fate of a connection.
#[derive(Debug, Clone)]
pub enum Fate {
    Passed,
    Answered(String),
}

/// A page as gateways send it: a status, and nothing that a token endpoint or a stream would say.
pub fn page(status: u16) -> Fate {
    let body = format!("<html><title>default backend - {status}</title></html>");
    let location = if (300..400).contains(&status) { "Location: https://elsewhere.example/\r\n" } else { "" };
    Fate::Answered(format!(
        "HTTP/1.1 {status} Gateway\r\nContent-Type: text/html\r\n{location}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ))
}

/// The fates of the first connections, in order; the others are passed on.
pub struct Gateway {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Gateway {
    pub fn new(server: SocketAddr, fates: Vec<Fate>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (counted, fates) = (Arc::clone(&connections), Mutex::new(VecDeque::from(fates)));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                counted.fetch_add(1, Ordering::SeqCst);
                let fate = fates.lock().unwrap().pop_front().unwrap_or(Fate::Passed);
                thread::spawn(move || serve(client, server, &fate));
            }
        });
        Self { address, connections }
    }

    /// How many connections came.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn serve(mut client: TcpStream, server: SocketAddr, fate: &Fate) {
    match fate {
        Fate::Passed => {
            let Ok(server) = TcpStream::connect(server) else { return };
            let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let requests = thread::spawn(move || pass(from, to, |_| None));
            pass(server, client, |_| None);
            let _ = requests.join();
        }
        Fate::Answered(answer) => {
            let _ = client.write_all(answer.as_bytes());
            let _ = client.shutdown(Shutdown::Write);
            // Closed with a request unread, the connection would be reset, and the answer with it.
            let _ = client.set_read_timeout(Some(PATIENCE));
            let _ = client.read_to_end(&mut Vec::new());
        }
    }
}
