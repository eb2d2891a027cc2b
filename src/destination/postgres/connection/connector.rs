//! How a connection's bytes travel: puts the guarded stream, and TLS where asked for, between the `postgres` crate and the socket.
//!
//! With `sslmode=require` and `sslnegotiation=direct` the crate sends nothing by itself and hands the connected socket to its
//! TLS connector, whatever that then does. So this "TLS connector" is where every connection gets its deadline, plain ones
//! too: it sends the `SSLRequest` by itself (PostgreSQL manual, "Frontend/Backend Protocol", SSL Session Encryption).
//! That the crate stays silent is tested (`the_first_bytes_are_ours`).
//!
//! Unix sockets: the crate cannot hand those over, as TLS does not exist there. The crate is given a throw-away
//! TCP connection to a listener of our own on the loopback interface ([`Detour`]), and the Unix socket is opened here instead.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use postgres::Socket;
use postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::destination::postgres::connection::channel_binding::server_end_point;
use crate::destination::postgres::connection::deadline::Deadline;
use crate::destination::postgres::connection::deadline_stream::{Guarded, Io, poll_drain};
use crate::destination::postgres::connection::startup::{GivenPid, Greeting};
use crate::destination::postgres::connection::tls::NoTls;
use crate::tls::Encryption;

/// Length 8, code 80877103.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// What one attempt to connect asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsWish {
    None,
    /// TLS if the server is willing.
    IfOffered,
    Required,
}

impl fmt::Display for TlsWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "without TLS",
            Self::IfOffered => "with TLS if the server offers it",
            Self::Required => "with TLS",
        })
    }
}

/// Makes the streams of one connection: its own, and those of its cancel requests.
#[derive(Clone)]
pub(crate) struct Connector {
    wish: TlsWish,
    /// Absent only with `sslmode=disable`.
    tls: Option<Arc<rustls::ClientConfig>>,
    pub(crate) deadline: Deadline,
    pub(crate) detour: Option<Detour>,
    cancels: bool,
    host: String,
    pub(crate) facts: Facts,
}

/// What is learned about a connection on the way, for `check`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) given_pid: GivenPid,
    /// Set once TLS is there.
    pub(crate) encryption: Arc<OnceLock<Encryption>>,
}

impl Connector {
    pub(crate) fn new(wish: TlsWish, tls: Option<Arc<rustls::ClientConfig>>, deadline: Deadline) -> Self {
        Self { wish, tls, deadline, detour: None, cancels: false, host: String::new(), facts: Facts::default() }
    }

    /// The same way to the same server, for a cancel request under a deadline of its own.
    pub(crate) fn for_cancel(&self, deadline: Deadline) -> Self {
        Self { deadline, cancels: true, ..self.clone() }
    }

    async fn open(self, given: Socket) -> io::Result<PgStream> {
        let io: Box<dyn Io> = match &self.detour {
            None => Box::new(given),
            Some(detour) => detour.open().await?,
        };
        let mut raw = Guarded::new(io, self.deadline);
        let wire = match &self.tls {
            Some(tls) if self.wish != TlsWish::None => {
                if request_tls(&mut raw, self.wish).await? {
                    let name = ServerName::try_from(self.host)
                        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the host is no name for TLS"))?;
                    let connector = tokio_rustls::TlsConnector::from(Arc::clone(tls));
                    let stream = connector.connect(name, raw).await?;
                    if let Some(encryption) = Encryption::of(stream.get_ref().1) {
                        // A cancel request's, which comes later, tells nothing new.
                        drop(self.facts.encryption.set(encryption));
                    }
                    Wire::Tls(Box::new(stream))
                } else {
                    Wire::Plain(raw)
                }
            }
            _ => Wire::Plain(raw),
        };
        let greeting = (!self.cancels).then(|| Greeting::new(self.facts.given_pid));
        Ok(PgStream { wire, cancels: self.cancels, greeting })
    }
}

/// Asks the server for TLS; true when it is willing.
async fn request_tls(raw: &mut Guarded, wish: TlsWish) -> io::Result<bool> {
    raw.write_all(&SSL_REQUEST).await?;
    raw.flush().await?;
    // One byte and no more: what follows must come from inside TLS (CVE-2021-23222).
    let mut answer = [0];
    raw.read_exact(&mut answer).await?;
    match answer {
        [b'S'] => Ok(true),
        [b'N'] if wish == TlsWish::IfOffered => Ok(false),
        [b'N'] => Err(io::Error::other(NoTls)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the answer to a TLS request is not PostgreSQL's")),
    }
}

impl MakeTlsConnect<Socket> for Connector {
    type Stream = PgStream;
    type TlsConnect = Self;
    type Error = io::Error;

    fn make_tls_connect(&mut self, domain: &str) -> io::Result<Self> {
        Ok(Self { host: domain.into(), ..self.clone() })
    }
}

impl TlsConnect<Socket> for Connector {
    type Stream = PgStream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<PgStream>> + Send>>;

    fn connect(self, given: Socket) -> Self::Future {
        Box::pin(self.open(given))
    }
}

/// Lets a Unix socket take the place of the TCP socket that the `postgres` crate insists on.
#[derive(Clone)]
pub(crate) struct Detour {
    /// Where the crate connects to; lives as long as the connection, because cancel requests go there too.
    listener: Arc<std::net::TcpListener>,
    path: std::path::PathBuf,
}

impl Detour {
    pub(crate) fn new(path: std::path::PathBuf) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener: Arc::new(listener), path })
    }

    /// The loopback port that the crate is to be sent to.
    pub(crate) fn port(&self) -> io::Result<u16> {
        Ok(self.listener.local_addr()?.port())
    }

    #[cfg(unix)]
    async fn open(&self) -> io::Result<Box<dyn Io>> {
        // Whoever connected, the crate or a stranger, is turned away; nothing is ever read from there.
        while self.listener.accept().is_ok() {}
        Ok(Box::new(tokio::net::UnixStream::connect(&self.path).await?))
    }

    #[cfg(not(unix))]
    async fn open(&self) -> io::Result<Box<dyn Io>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "Unix sockets do not exist here"))
    }
}

/// The stream under a connection.
pub(crate) struct PgStream {
    wire: Wire,
    cancels: bool,
    /// Read along until the start is over.
    greeting: Option<Greeting>,
}

enum Wire {
    Plain(Guarded),
    Tls(Box<tokio_rustls::client::TlsStream<Guarded>>),
}

impl PgStream {
    fn wire(self: Pin<&mut Self>) -> Pin<&mut (dyn Io + 'static)> {
        match &mut self.get_mut().wire {
            Wire::Plain(stream) => Pin::new(stream),
            Wire::Tls(stream) => Pin::new(&mut **stream),
        }
    }
}

impl AsyncRead for PgStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.as_mut().wire().poll_read(cx, buf))?;
        if let Some(greeting) = &mut self.greeting
            && !greeting.hear(&buf.filled()[before..])
        {
            self.greeting = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PgStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.wire().poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire().poll_flush(cx)
    }

    /// A cancel request waits for the server to close first, as libpq does: closing at once mostly does not cancel through
    /// PgBouncer, and crashes version 1.18 (pgbouncer issue 801).
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.cancels {
            ready!(poll_drain(self.as_mut().wire(), cx))?;
        }
        self.wire().poll_shutdown(cx)
    }
}

impl TlsStream for PgStream {
    fn channel_binding(&self) -> ChannelBinding {
        let Wire::Tls(stream) = &self.wire else { return ChannelBinding::none() };
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        certificate
            .and_then(|certificate| server_end_point(certificate))
            .map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}
