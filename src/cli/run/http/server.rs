//! The server and its limits.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::access::Access;
use super::answers::{Answer, Site, busy};
use super::io::Io;
use super::shown::Shown;
use crate::Config;
use crate::cli::run::sinks::Sinks;
use crate::config::ConfigOrigin;
use crate::error::{Error, Result};
use crate::threads::spawn;

/// Open connections; beyond this, the oldest is closed.
const CONNECTIONS_MAX: usize = 64;
/// The time of a connection, with its request and its answer. An answer fits into the buffers of the system.
const CONNECTION_MAX: Duration = Duration::from_secs(10);
/// The line of a request and its headers. hyper takes no less.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// The time for the numbers of the sink, for which a lock of its loops may be needed.
const NUMBERS_MAX: Duration = Duration::from_secs(5);
/// Threads that ask for them.
const ASKING_MAX: usize = 2;
/// After a failure to accept: it lasts, where descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until it is dropped.
#[derive(Debug)]
pub(in crate::cli::run) struct Server {
    site: Arc<Site>,
    end: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
    #[cfg(test)]
    pub(super) address: std::net::SocketAddr,
}

impl Server {
    /// Listens on `http.listen`; `None` if it is not set.
    ///
    /// # Errors
    /// `Config`: the address cannot be used, or the token's file.
    pub(in crate::cli::run) fn start(
        sinks: impl Into<Sinks>,
        config: &Config,
        origin: ConfigOrigin,
    ) -> Result<Option<Self>> {
        let Some(wanted) = config.http.address()? else { return Ok(None) };
        config.http.token()?;
        let fail = |error: std::io::Error| {
            Error::config(format!("http.listen: listening on {wanted}: {error}"))
                .with_hint("choose an address of this machine and a port that no other program has")
        };
        let listener = StdListener::bind(wanted).map_err(fail)?;
        listener.set_nonblocking(true).map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let sinks = sinks.into();
        let site = Arc::new(Site {
            shown: Shown::all(&sinks),
            sinks,
            started_at: SystemTime::now(),
            origin,
            access: Access::new(&config.http, address.ip().is_loopback()),
            hanging_after: config.http.hanging_after,
        });
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(ASKING_MAX)
            .thread_name("cxsink-http-ask")
            .build()
            .map_err(fail)?;
        let end = Arc::new(Notify::new());
        let (ended, shown) = (Arc::clone(&end), Arc::clone(&site));
        let serve = move || {
            runtime.spawn(accept_all(listener, shown));
            runtime.block_on(ended.notified());
            // One that hangs with the sink is left behind.
            runtime.shutdown_background();
        };
        let thread = spawn::spawn("cxsink-http", serve).map_err(fail)?;
        log::info!("metrics and health are at http://{address}");
        Ok(Some(Self {
            site,
            end,
            thread: Some(thread),
            #[cfg(test)]
            address,
        }))
    }

    /// To be called several times a second: keeps the last minutes for the page.
    pub(in crate::cli::run) fn tick(&self) {
        self.site.shown.iter().for_each(Shown::tick);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept_all(listener: StdListener, site: Arc<Site>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            log::error!("serving metrics and health: {error}");
            return;
        }
    };
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                open.retain(|connection| !connection.is_finished());
                while open.len() >= CONNECTIONS_MAX {
                    if let Some(oldest) = open.pop_front() {
                        oldest.abort();
                    }
                }
                open.push_back(tokio::spawn(serve(stream, Arc::clone(&site))).abort_handle());
            }
            Err(error) => {
                log::debug!("accepting a connection for metrics: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One request.
async fn serve(stream: TcpStream, site: Arc<Site>) {
    let service = service_fn(|request: Request<Incoming>| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(answer(request, site).await) }
    });
    let connection =
        http1::Builder::new().keep_alive(false).max_buf_size(HEAD_BYTES_MAX).serve_connection(Io(stream), service);
    // The client's affair, whatever it is.
    let _ = tokio::time::timeout(CONNECTION_MAX, connection).await;
}

async fn answer(request: Request<Incoming>, site: Arc<Site>) -> Answer {
    let (request, _) = request.into_parts();
    let path = request.uri.path();
    if path == "/healthz" {
        return site.answer(&request.method, path, &request.headers);
    }
    let asked = path.to_owned();
    let mut asking = tokio::task::spawn_blocking(move || {
        let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
        site.answer(&request.method, target, &request.headers)
    });
    match tokio::time::timeout(NUMBERS_MAX, &mut asking).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => busy(&asked),
        Err(_) => {
            // One that has not begun never does.
            asking.abort();
            busy(&asked)
        }
    }
}

#[cfg(test)]
#[path = "tests/server.rs"]
mod tests;
