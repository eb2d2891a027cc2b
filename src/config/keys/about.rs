//! The sections, each with its subject.

pub(in crate::config) const SECTIONS: [(&str, &str); 16] = [
    (
        "oauth",
        "The token: the endpoint that grants it, and the credentials. Every secret may be in a file instead. [streams.md](streams.md) says which stream needs which settings.",
    ),
    (
        "stream",
        "The stream, the conversation on it, and its timeouts. If no setting of the stream and no credentials are set, the sink accepts events from the application only. See [Messages and patterns](#messages-and-patterns).",
    ),
    (
        "event",
        "Where an event is in a message of the stream. By default a message is one event. It does not apply to events from the application and from `import`.",
    ),
    (
        "redact",
        "What is removed or replaced in each event before it is spooled. [privacy.md](privacy.md) is the guide.",
    ),
    ("schema", "The JSON Schema that events must match: [schema](schema.md) has drafts, formats, patterns and limits."),
    ("mapping", "The source of each column of the table."),
    ("destination", "The database and the table."),
    ("spool", "The local file in which events wait until they are committed to the table."),
    (
        "batch",
        "The limits of one transaction. There is no timer: a batch takes all events that arrived during the previous transaction.",
    ),
    ("dead_letters", "The space for rejected events. Dead letters are stored in the spool file."),
    ("retention", "How long data is kept."),
    (
        "retry",
        "The delays between attempts to connect, and between attempts to write: exponential backoff with full jitter.",
    ),
    (
        "tls",
        "TLS settings of the connections to the token endpoint, the stream and the database. Files are PEM and are read again for each connection, so a renewed certificate takes effect without a restart.",
    ),
    (
        "proxy",
        "The HTTP proxy (CONNECT) between this machine and CXone, for the token endpoint and the stream. URLs with `http://` or `ws://`, which lead to this machine, and the database are never reached through it.",
    ),
    (
        "http",
        "Metrics and health over HTTP, of the command line's `run`. Nothing is served unless `http.listen` is set. No answer holds a payload or a secret. [operations.md](operations.md) shows how to use it, [metrics.md](metrics.md) lists the metrics.",
    ),
    ("log", "The log output of the command line. The library itself prints nothing."),
];
