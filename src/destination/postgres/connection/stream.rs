//! The byte stream of one connection, as the `postgres` crate uses it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use postgres::tls::{ChannelBinding, TlsStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::channel_binding::server_end_point;
use super::deadline_stream::{ByteStream, DeadlineStream, poll_drain};
use super::startup::StartupParser;

/// The stream of a connection, or of a cancel request.
pub(super) struct PgStream {
    wire: Wire,
    purpose: Purpose,
}

pub(super) enum Wire {
    Plain(DeadlineStream),
    Tls(Box<tokio_rustls::client::TlsStream<DeadlineStream>>),
}

pub(super) enum Purpose {
    /// A connection, with the parser of its startup messages until it needs no more.
    Connection(Option<StartupParser>),
    CancelRequest,
}

impl PgStream {
    pub(super) fn new(wire: Wire, purpose: Purpose) -> Self {
        Self { wire, purpose }
    }

    fn wire(self: Pin<&mut Self>) -> Pin<&mut (dyn ByteStream + 'static)> {
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
        if let Purpose::Connection(startup) = &mut self.purpose
            && let Some(parser) = startup
            && !parser.push(&buf.filled()[before..])?
        {
            *startup = None;
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

    /// A cancel request waits until the server closes, as libpq does: closing at once mostly does not cancel through PgBouncer,
    /// and crashes its version 1.18 (pgbouncer issue 801).
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.purpose, Purpose::CancelRequest) {
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
