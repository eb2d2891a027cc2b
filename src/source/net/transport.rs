//! A TCP stream with or without TLS, that reads under a deadline or without blocking.
//!
//! TLS may be there twice: to a proxy, and through it to the server.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rustls::ClientConnection;

use crate::net::tls::Encryption;

/// See the [module documentation](self).
///
/// A read or write that meets the deadline, or would block, fails with `WouldBlock`; it can be repeated, also in the middle
/// of a TLS record.
#[derive(Debug)]
pub(crate) struct Transport {
    socket: Socket,
    /// The outermost first; at most two.
    sessions: Vec<ClientConnection>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Each system call waits until this at most.
    Until(Instant),
    /// Nothing waits.
    NonBlocking,
}

impl Transport {
    pub(crate) fn new(tcp: TcpStream, deadline: Instant) -> io::Result<Self> {
        // Pings and pongs are small and must not wait for each other (RFC 9293 section 3.7.4).
        tcp.set_nodelay(true)?;
        let socket = Socket { tcp, mode: Mode::Until(deadline), read_timeout: None, is_drained: false };
        Ok(Self { socket, sessions: Vec::new() })
    }

    /// Returns a call that ends every call on this transport, from any thread, now and later.
    pub(crate) fn interrupt(&self) -> io::Result<impl FnOnce() + Send + 'static> {
        let tcp = self.socket.tcp.try_clone()?;
        // It fails when the connection is gone already; the effect is the same.
        Ok(move || drop(tcp.shutdown(Shutdown::Both)))
    }

    /// From now on calls wait until `deadline`.
    pub(crate) fn wait_until(&mut self, deadline: Instant) -> io::Result<()> {
        if self.socket.mode == Mode::NonBlocking {
            self.socket.tcp.set_nonblocking(false)?;
        }
        self.socket.mode = Mode::Until(deadline);
        Ok(())
    }

    /// From now on calls do not wait.
    pub(crate) fn wait_never(&mut self) -> io::Result<()> {
        if self.socket.mode != Mode::NonBlocking {
            self.socket.tcp.set_nonblocking(true)?;
            self.socket.mode = Mode::NonBlocking;
        }
        Ok(())
    }

    /// Whether the last system call that read took all that had arrived by then.
    pub(crate) fn is_drained(&self) -> bool {
        self.socket.is_drained
    }

    /// Does the handshake of `session`, within the session there may be already; from then on everything goes through it.
    pub(crate) fn start_tls(&mut self, mut session: ClientConnection) -> io::Result<()> {
        self.through_all(|mut stream| -> io::Result<()> {
            while session.is_handshaking() {
                // It ends at the end of the stream without an error, and without having got further.
                let step = session.complete_io(&mut stream).map_err(|error| alert_or(&mut session, stream, error))?;
                if step == (0, 0) {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Ok(())
        })?;
        self.sessions.push(session);
        Ok(())
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        !self.sessions.is_empty()
    }

    /// TLS with the server; `None` without.
    pub(crate) fn encryption(&self) -> Option<Encryption> {
        self.sessions.last().and_then(Encryption::of)
    }

    /// As [`alert_or`], of the innermost session.
    fn reason_for(&mut self, error: io::Error) -> io::Error {
        let socket = &mut self.socket;
        match &mut self.sessions[..] {
            [] => error,
            [tls] => alert_or(tls, socket, error),
            [outer, inner, ..] => alert_or(inner, &mut rustls::Stream::new(outer, socket), error),
        }
    }

    /// Calls with the stream that the bytes of the application go through.
    fn through_all<T>(&mut self, call: impl FnOnce(&mut dyn ReadWrite) -> T) -> T {
        let socket = &mut self.socket;
        match &mut self.sessions[..] {
            [] => call(socket),
            [tls] => call(&mut rustls::Stream::new(tls, socket)),
            [outer, inner, ..] => {
                let mut outer = rustls::Stream::new(outer, socket);
                call(&mut rustls::Stream::new(inner, &mut outer))
            }
        }
    }
}

/// The alert of a server that refused us, or else `error`: it closed the connection, so our next write fails before the alert is read.
fn alert_or(session: &mut ClientConnection, stream: &mut dyn ReadWrite, error: io::Error) -> io::Error {
    if !matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted
    ) {
        return error;
    }
    let mut stream = stream;
    while let Ok(1..) = session.read_tls(&mut stream) {
        if let Err(reason) = session.process_new_packets() {
            return io::Error::new(io::ErrorKind::InvalidData, reason);
        }
    }
    error
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.through_all(|stream| stream.read(buffer)) {
            // Many servers close the connection without TLS's close_notify. The WebSocket close frame, or the length of a response,
            // decides.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.through_all(|stream| stream.write(bytes)).map_err(|error| self.reason_for(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.through_all(|stream| stream.flush()).map_err(|error| self.reason_for(error))?;
        // The inner one hands its records to the outer one, which has to send them then.
        match &mut self.sessions[..] {
            [outer, _] => rustls::Stream::new(outer, &mut self.socket).flush(),
            _ => Ok(()),
        }
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// A wait may be cut in two from here on.
const LONG_WAIT: Duration = Duration::from_secs(1);

/// The TCP stream: turns the deadline into the socket's timeout before each system call, so that a server that sends single bytes
/// cannot stretch it.
#[derive(Debug)]
struct Socket {
    tcp: TcpStream,
    mode: Mode,
    /// The socket's timeout for reading, as set last.
    read_timeout: Option<Duration>,
    /// The last read returned less than its buffer holds.
    is_drained: bool,
}

impl Socket {
    fn timeout(&self) -> io::Result<Option<Duration>> {
        match self.mode {
            Mode::NonBlocking => Ok(None),
            Mode::Until(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(Some(left)) }
            }
        }
    }

    /// Sets the socket's timeout, unless the present one suffices. A shorter one costs another try at the end of a long wait, and saves a
    /// system call for each read of a stream whose deadline moves on with every event.
    fn set_read_timeout(&mut self, left: Duration) -> io::Result<()> {
        if self.read_timeout.is_some_and(|timeout| timeout <= left && timeout >= left / 2) {
            return Ok(());
        }
        let timeout = if left > LONG_WAIT { left / 4 * 3 } else { left };
        self.tcp.set_read_timeout(Some(timeout))?;
        self.read_timeout = Some(timeout);
        Ok(())
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let timeout = self.timeout()?;
            if let Some(left) = timeout {
                self.set_read_timeout(left)?;
            }
            match self.tcp.read(buffer).map_err(would_block) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && timeout.is_some() => {}
                read => {
                    self.is_drained = read.as_ref().is_ok_and(|&read| read < buffer.len());
                    return read;
                }
            }
        }
    }
}

impl Write for Socket {
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
