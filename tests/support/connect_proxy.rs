//! HTTP proxies: a real one, and one that does what a test wants.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use super::needed;
use super::server::unprivileged;

pub const ESTABLISHED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

/// tinyproxy, on a port of its own, ended with its test. It must be started on the test's own thread.
pub struct TinyProxy {
    child: Child,
    folder: tempfile::TempDir,
    pub port: u16,
}

impl TinyProxy {
    /// With `credentials`, a name and a password, it requires them.
    pub fn start(credentials: Option<(&str, &str)>) -> Self {
        let program = needed("tinyproxy");
        loop {
            let folder = tempfile::Builder::new().prefix("cxsink-proxy-").tempdir_in("/tmp").unwrap();
            // Free now, perhaps not any more when the proxy binds it: then another one is tried.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let credentials =
                credentials.map_or_else(String::new, |(name, password)| format!("BasicAuth {name} {password}\n"));
            let settings = format!(
                "Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 60\nMaxClients 50\nLogLevel Connect\n{credentials}"
            );
            let file = folder.path().join("tinyproxy.conf");
            fs::write(&file, settings).unwrap();
            // Its user is not ours.
            make_readable(folder.path());
            let log = fs::File::create(folder.path().join("log")).unwrap();
            let mut command = unprivileged(&program, "TERM");
            command.arg("-d").arg("-c").arg(&file).current_dir(folder.path()).stdin(Stdio::null());
            let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
            let mut proxy = Self { child, folder, port };
            let mut has_ended = false;
            super::wait_until("tinyproxy listens", || {
                has_ended = proxy.child.try_wait().unwrap().is_some();
                has_ended || TcpStream::connect(("127.0.0.1", port)).is_ok()
            });
            if !has_ended {
                return proxy;
            }
            let log = proxy.log();
            assert!(log.contains("Address already in use"), "tinyproxy does not start: {log}");
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

#[cfg(unix)]
fn make_readable(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(not(unix))]
fn make_readable(_: &std::path::Path) {}

impl Drop for TinyProxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Connects every request to one server, whatever name it has. Its threads end with their connections.
pub struct OneWayProxy {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl OneWayProxy {
    /// `response` gives the response to each request by its number. [`ESTABLISHED`] connects; any other response ends the connection.
    pub fn new(server: SocketAddr, response: impl Fn(usize) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (log, response) = (Arc::clone(&requests), Arc::new(response));
        thread::spawn(move || {
            for mut client in listener.incoming().map_while(Result::ok) {
                let (log, response) = (Arc::clone(&log), Arc::clone(&response));
                thread::spawn(move || {
                    let Some(request) = read_request(&mut client) else { return };
                    let number = {
                        let mut log = log.lock().unwrap();
                        log.push(request);
                        log.len() - 1
                    };
                    let response = response(number);
                    if client.write_all(response.as_bytes()).is_ok() && response == ESTABLISHED {
                        tunnel(&client, &TcpStream::connect(server).unwrap());
                    }
                });
            }
        });
        Self { address, requests }
    }

    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn read_request(client: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).ok()?;
        request.push(byte[0]);
    }
    Some(String::from_utf8(request).unwrap())
}

fn tunnel(client: &TcpStream, server: &TcpStream) {
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let there = thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut &*server, &mut &*client);
    let _ = client.shutdown(Shutdown::Both);
    there.join().unwrap();
}
