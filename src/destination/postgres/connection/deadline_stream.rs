//! A byte stream that fails once its deadline has passed or its call was aborted.
//!
//! It lies under TLS, so that it covers the TLS handshake too. It checks the deadline before each read even if data is ready: a
//! peer that sends one byte at a time cannot outlive it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::deadline::Deadline;

/// The `postgres` crate's TCP socket, or a Unix socket.
pub(super) trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for T {}

pub(super) struct DeadlineStream {
    inner: Box<dyn ByteStream>,
    deadline: Deadline,
    /// The timer that wakes this stream when the deadline passes, and when that is.
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl DeadlineStream {
    pub(super) fn new(inner: Box<dyn ByteStream>, deadline: Deadline) -> Self {
        Self { inner, deadline, timer: None }
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
            // The deadline has just passed: this call records it.
            self.timer = None;
            self.deadline.watch(cx.waker())?;
            cx.waker().wake_by_ref();
        }
        Ok(())
    }
}

impl AsyncRead for DeadlineStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for DeadlineStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl Drop for DeadlineStream {
    fn drop(&mut self) {
        self.deadline.discard_waker();
    }
}

/// Reads and drops everything until the peer closes the connection.
pub(super) fn poll_drain(stream: Pin<&mut (impl AsyncRead + ?Sized)>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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
