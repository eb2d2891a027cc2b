//! A TCP proxy before PostgreSQL that passes, stalls, refuses and cuts on request.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// Passes bytes both ways until a fault is set. Its threads end with their connections.
pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    rules: Mutex<Rules>,
    changed: Condvar,
    cuts: AtomicU64,
    cancels_swallowed: AtomicU64,
    cancels_passed: AtomicU64,
}

#[derive(Default)]
struct Rules {
    /// Answers are held back; the connections stay open.
    is_stalled: bool,
    /// Connections are closed as soon as they are made.
    is_refusing: bool,
    /// Requests to cancel a statement are taken and not passed on.
    swallows_cancels: bool,
    /// The share of the answers to batches that is cut off, in percent, and the random numbers that decide.
    cut_percent: u32,
    draws: Option<fastrand::Rng>,
    /// Every connection, its two sockets.
    open: Vec<(TcpStream, TcpStream)>,
}

/// `CancelRequest` (PostgreSQL manual, "Message Formats"): length 16, then this code.
const CANCEL: [u8; 8] = [0, 0, 0, 16, 4, 210, 22, 46];

impl Proxy {
    pub fn new(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server,
            rules: Mutex::default(),
            changed: Condvar::new(),
            cuts: AtomicU64::new(0),
            cancels_swallowed: AtomicU64::new(0),
            cancels_passed: AtomicU64::new(0),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&accepting);
                thread::spawn(move || shared.serve(client));
            }
        });
        Self { address, shared }
    }

    fn change(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.shared.rules.lock().unwrap());
        self.shared.changed.notify_all();
    }

    pub fn stall(&self, is_stalled: bool) {
        self.change(|rules| rules.is_stalled = is_stalled);
    }

    /// Refuses new connections; those that are open go on.
    pub fn refuse(&self, is_refusing: bool) {
        self.change(|rules| rules.is_refusing = is_refusing);
    }

    pub fn swallow_cancels(&self, swallows: bool) {
        self.change(|rules| rules.swallows_cancels = swallows);
    }

    /// Cuts the connection in the middle of the answer to a prepared statement, for this share of them. The server has
    /// committed by then: it answers at the end of its transaction.
    pub fn cut_answers(&self, percent: u32, seed: u64) {
        self.change(|rules| {
            rules.cut_percent = percent;
            rules.draws = Some(fastrand::Rng::with_seed(seed));
        });
    }

    /// Cuts every open connection.
    pub fn cut_all(&self) {
        self.change(|rules| {
            for (client, server) in rules.open.drain(..) {
                let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
            }
        });
    }

    /// How many connections were passed on since the last cut.
    pub fn connections(&self) -> usize {
        self.shared.rules.lock().unwrap().open.len()
    }

    /// How many answers were cut.
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    pub fn cancels_swallowed(&self) -> u64 {
        self.shared.cancels_swallowed.load(Ordering::SeqCst)
    }

    pub fn cancels_passed(&self) -> u64 {
        self.shared.cancels_passed.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut_all();
        self.stall(false);
    }
}

impl Shared {
    fn serve(self: &Arc<Self>, mut client: TcpStream) {
        if self.rules.lock().unwrap().is_refusing {
            return;
        }
        let mut first = [0; 8];
        if client.read_exact(&mut first).is_err() {
            return;
        }
        if first == CANCEL && self.rules.lock().unwrap().swallows_cancels {
            self.cancels_swallowed.fetch_add(1, Ordering::SeqCst);
            return;
        }
        let Ok(mut server) = TcpStream::connect(self.server) else { return };
        if server.write_all(&first).is_err() {
            return;
        }
        if first == CANCEL {
            self.cancels_passed.fetch_add(1, Ordering::SeqCst);
        }
        for socket in [&client, &server] {
            socket.set_nodelay(true).unwrap();
        }
        let pair = (client.try_clone().unwrap(), server.try_clone().unwrap());
        self.rules.lock().unwrap().open.push(pair);
        let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let requests = thread::spawn(move || pass(from, to, |_| None));
        let shared = Arc::clone(self);
        pass(server, client, move |answer| shared.gate(answer));
        let _ = requests.join();
    }

    /// Holds an answer while stalled; says how much of it passes before the cut, if it is to be cut.
    fn gate(&self, answer: &[u8]) -> Option<usize> {
        let mut rules = self.rules.lock().unwrap();
        while rules.is_stalled {
            rules = self.changed.wait(rules).unwrap();
        }
        // BindComplete comes first only in the answer to a statement that was prepared before: to a batch.
        let is_batch = answer.starts_with(&[b'2', 0, 0, 0, 4]);
        let percent = rules.cut_percent;
        let draws = rules.draws.as_mut().filter(|_| is_batch && percent > 0)?;
        if draws.u32(0..100) >= percent {
            return None;
        }
        self.cuts.fetch_add(1, Ordering::SeqCst);
        Some(draws.usize(0..answer.len()))
    }
}

/// Passes bytes one way until an end, or until `cut` says how many of them still pass.
pub fn pass(mut from: TcpStream, mut to: TcpStream, cut: impl Fn(&[u8]) -> Option<usize>) {
    let mut buffer = [0; 16384];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let answer = &buffer[..read];
        let cut_at = cut(answer);
        let passed = &answer[..cut_at.unwrap_or(read)];
        if to.write_all(passed).is_err() || cut_at.is_some() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
