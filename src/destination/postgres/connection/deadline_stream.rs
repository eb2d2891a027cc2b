//! A byte stream that gives up when its deadline has passed or its call was aborted.
//!
//! It lies under TLS, not above it, so that the TLS handshake is covered by the same code. The deadline is asked before each
//! read even if data is ready: a peer that drips one byte at a time cannot outlive it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::destination::postgres::connection::deadline::Deadline;

/// What a connection can run over: the `postgres` crate's TCP socket or a Unix socket.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

pub(crate) struct Guarded {
    io: Box<dyn Io>,
    deadline: Deadline,
    /// The timer that wakes this stream when the deadline passes, and when that is.
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Guarded {
    pub(crate) fn new(io: Box<dyn Io>, deadline: Deadline) -> Self {
        Self { io, deadline, timer: None }
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(at) = self.deadline.watch(cx.waker())? else {
            self.timer = None;
            return Ok(());
        };
        if self.timer.as_ref().is_none_or(|(set_for, _)| *set_for != at) {
            self.timer = Some((at, Box::pin(tokio::time::sleep_until(at.into()))));
        }
        if let Some((_, sleep)) = &mut self.timer
            && sleep.as_mut().poll(cx).is_ready()
        {
            // It has passed just now: asking again says so, and keeps it.
            self.timer = None;
            self.deadline.watch(cx.waker())?;
            cx.waker().wake_by_ref();
        }
        Ok(())
    }
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.deadline.forget_waker();
    }
}

/// Reads and drops everything until the peer closes the connection.
pub(crate) fn poll_drain(stream: Pin<&mut (impl AsyncRead + ?Sized)>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    let mut stream = stream;
    loop {
        let mut space = [0; 256];
        let mut buf = ReadBuf::new(&mut space);
        ready!(stream.as_mut().poll_read(cx, &mut buf))?;
        if buf.filled().is_empty() {
            return Poll::Ready(Ok(()));
        }
    }
}
