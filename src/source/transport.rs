//! A TCP stream with or without TLS, that reads under a deadline or without blocking.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rustls::ClientConnection;

/// See the [module documentation](self).
///
/// A read or write that meets the deadline, or would block, fails with `WouldBlock`; it can be repeated, also in the middle
/// of a TLS record.
#[derive(Debug)]
pub(super) struct Transport {
    tcp: TcpStream,
    tls: Option<Box<ClientConnection>>,
    mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Each system call waits until this at most.
    Until(Instant),
    /// Nothing waits.
    NonBlocking,
}

impl Transport {
    pub(super) fn new(tcp: TcpStream, tls: Option<ClientConnection>, deadline: Instant) -> io::Result<Self> {
        // Pings and pongs are small and must not wait for each other (RFC 9293 section 3.7.4).
        tcp.set_nodelay(true)?;
        Ok(Self { tcp, tls: tls.map(Box::new), mode: Mode::Until(deadline) })
    }

    /// Ends every call on this transport, from any thread, now and later.
    pub(super) fn interrupt(&self) -> io::Result<impl FnOnce() + Send + 'static> {
        let tcp = self.tcp.try_clone()?;
        // It fails when the connection is gone already, which is as good.
        Ok(move || drop(tcp.shutdown(Shutdown::Both)))
    }

    /// From now on calls wait until `deadline`.
    pub(super) fn wait_until(&mut self, deadline: Instant) -> io::Result<()> {
        if self.mode == Mode::NonBlocking {
            self.tcp.set_nonblocking(false)?;
        }
        self.mode = Mode::Until(deadline);
        Ok(())
    }

    /// From now on calls do not wait.
    pub(super) fn wait_never(&mut self) -> io::Result<()> {
        if self.mode != Mode::NonBlocking {
            self.tcp.set_nonblocking(true)?;
            self.mode = Mode::NonBlocking;
        }
        Ok(())
    }

    /// Does what is left of the TLS handshake.
    pub(super) fn handshake_tls(&mut self) -> io::Result<()> {
        let mut socket = Socket { tcp: &self.tcp, mode: self.mode };
        if let Some(tls) = &mut self.tls {
            while tls.is_handshaking() {
                // It ends at the end of the stream without an error, and without having got further.
                if tls.complete_io(&mut socket)? == (0, 0) {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        Ok(())
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut socket = Socket { tcp: &self.tcp, mode: self.mode };
        let read = match &mut self.tls {
            None => socket.read(buffer),
            Some(tls) => rustls::Stream::new(&mut **tls, &mut socket).read(buffer),
        };
        match read {
            // Many servers close the connection without TLS's own goodbye; the WebSocket close frame is what we go by.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut socket = Socket { tcp: &self.tcp, mode: self.mode };
        match &mut self.tls {
            None => socket.write(bytes),
            Some(tls) => rustls::Stream::new(&mut **tls, &mut socket).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut socket = Socket { tcp: &self.tcp, mode: self.mode };
        match &mut self.tls {
            None => Ok(()),
            Some(tls) => rustls::Stream::new(&mut **tls, &mut socket).flush(),
        }
    }
}

/// The TCP stream for one call: turns the deadline into the socket's timeout before each system call, so that a peer that
/// sends a byte now and then cannot stretch it.
struct Socket<'a> {
    tcp: &'a TcpStream,
    mode: Mode,
}

impl Socket<'_> {
    fn timeout(&self) -> io::Result<Option<Duration>> {
        match self.mode {
            Mode::NonBlocking => Ok(None),
            Mode::Until(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(Some(left)) }
            }
        }
    }
}

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(timeout) = self.timeout()? {
            self.tcp.set_read_timeout(Some(timeout))?;
        }
        self.tcp.read(buffer).map_err(would_block)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(timeout) = self.timeout()? {
            self.tcp.set_write_timeout(Some(timeout))?;
        }
        self.tcp.write(bytes).map_err(would_block)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket's timeout is `TimedOut` on Windows and `WouldBlock` elsewhere.
fn would_block(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::TimedOut { io::ErrorKind::WouldBlock.into() } else { error }
}
