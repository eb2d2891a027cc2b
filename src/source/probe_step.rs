//! The steps of `check` on the way to the stream.

/// A server of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    TokenEndpoint,
    Stream,
}

/// One step of [`Probe::examine`](crate::source::Probe::examine).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProbeStep {
    /// Fetches the issuer's document, which names the token endpoint.
    Discovery,
    /// Resolves the name of the server, or of its proxy.
    Names(Server),
    /// Connects.
    Tcp(Server),
    /// Has the proxy connect.
    Proxy(Server),
    /// Encrypts, verifies the certificate, and disconnects.
    Tls(Server),
    /// Fetches a token, or reads it.
    Token,
    /// Compares the clock of the token endpoint with ours.
    Clock,
    /// Opens the stream; closes it again if no step follows.
    Handshake,
    /// Sends the opening messages and waits for their answer; closes the stream again if no step follows.
    Opening,
    /// Sends a heartbeat, waits for its answer, and closes the stream.
    Heartbeat,
}
