//! Puts the deadline stream, and TLS where required, between the `postgres` crate and the socket.
//!
//! With `sslmode=require` and `sslnegotiation=direct` the crate itself sends nothing before it hands the connected socket to its
//! TLS connector, and it accepts any stream in return. So this "TLS connector" gives every connection its deadline, plain ones
//! too, and sends the `SSLRequest` itself (PostgreSQL manual, 53.2.10, "SSL Session Encryption"). The test
//! `the_first_bytes_are_ours` holds that the crate stays silent.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use postgres::Socket;
use postgres::tls::{MakeTlsConnect, TlsConnect};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::deadline::Deadline;
use super::deadline_stream::{ByteStream, DeadlineStream};
use super::startup::{ReportedPid, StartupParser};
use super::stream::{PgStream, Purpose, Wire};
use super::tls::NoTls;
use super::unix_socket::UnixSocket;
use crate::net::tls::Encryption;

/// Length 8, code 80877103.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Whether one attempt to connect uses TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsUse {
    Never,
    IfOffered,
    Always,
}

impl fmt::Display for TlsUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Never => "without TLS",
            Self::IfOffered => "with TLS if the server offers it",
            Self::Always => "with TLS",
        })
    }
}

/// Makes the streams of one connection: its own, and those of its cancel requests.
#[derive(Clone)]
pub(super) struct Connector {
    tls_use: TlsUse,
    /// `None` only with `sslmode=disable`.
    tls: Option<Arc<rustls::ClientConfig>>,
    pub(super) deadline: Deadline,
    unix_socket: Option<UnixSocket>,
    cancels: bool,
    host: String,
    pub(super) facts: Facts,
}

/// Facts about a connection, collected while it connects.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) reported_pid: ReportedPid,
    /// Set after the TLS handshake.
    pub(crate) encryption: Arc<OnceLock<Encryption>>,
}

impl Connector {
    pub(super) fn new(
        tls_use: TlsUse,
        tls: Option<Arc<rustls::ClientConfig>>,
        unix_socket: Option<UnixSocket>,
        deadline: Deadline,
    ) -> Self {
        Self { tls_use, tls, deadline, unix_socket, cancels: false, host: String::new(), facts: Facts::default() }
    }

    /// The same route to the same server, for a cancel request under a deadline of its own.
    pub(super) fn for_cancel(&self, deadline: Deadline) -> Self {
        Self { deadline, cancels: true, ..self.clone() }
    }

    async fn open(self, socket: Socket) -> io::Result<PgStream> {
        let inner: Box<dyn ByteStream> = match &self.unix_socket {
            None => Box::new(socket),
            Some(unix_socket) => unix_socket.open().await?,
        };
        let purpose = if self.cancels {
            Purpose::CancelRequest
        } else {
            Purpose::Connection(Some(StartupParser::new(self.facts.reported_pid.clone())))
        };
        let plain = DeadlineStream::new(inner, self.deadline.clone());
        Ok(PgStream::new(self.encrypt(plain).await?, purpose))
    }

    async fn encrypt(self, mut plain: DeadlineStream) -> io::Result<Wire> {
        let Some(tls) = self.tls.filter(|_| self.tls_use != TlsUse::Never) else { return Ok(Wire::Plain(plain)) };
        if !request_tls(&mut plain, self.tls_use).await? {
            return Ok(Wire::Plain(plain));
        }
        let name = ServerName::try_from(self.host)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the host is not a name for TLS"))?;
        let stream = tokio_rustls::TlsConnector::from(tls).connect(name, plain).await?;
        if let Some(encryption) = Encryption::of(stream.get_ref().1) {
            // Set already when this is a cancel request.
            drop(self.facts.encryption.set(encryption));
        }
        Ok(Wire::Tls(Box::new(stream)))
    }
}

/// Sends the `SSLRequest`; true if the server accepts.
async fn request_tls(stream: &mut DeadlineStream, tls_use: TlsUse) -> io::Result<bool> {
    stream.write_all(&SSL_REQUEST).await?;
    stream.flush().await?;
    // One byte and no more: what follows must come from inside TLS (CVE-2021-23222).
    let mut answer = [0];
    stream.read_exact(&mut answer).await?;
    match answer {
        [b'S'] => Ok(true),
        [b'N'] if tls_use == TlsUse::IfOffered => Ok(false),
        [b'N'] => Err(io::Error::other(NoTls)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the answer to the TLS request is not PostgreSQL's")),
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

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(self.open(socket))
    }
}
