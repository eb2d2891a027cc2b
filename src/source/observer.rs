//! Events inside a source that the sink counts. They have no part in how the stream is read.

use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceEvent {
    /// The token endpoint granted a token. The first one of a sink is no renewal.
    TokenFetched {
        /// Whether it replaces an earlier one.
        renewal: bool,
        /// When it expires, in microseconds since 1970-01-01 UTC.
        expires_at: i64,
    },
    /// This sink uses a token that another one has fetched.
    TokenShared {
        /// When it expires, in microseconds since 1970-01-01 UTC.
        expires_at: i64,
    },
}

/// Runs on the thread that calls the source: it must be short and must not block.
pub(crate) type Observer = Arc<dyn Fn(SourceEvent) + Send + Sync>;
