//! The connections to the stream, and the gaps between them, in which events may have been missed.

pub use crate::report::stream_connection::{Gap, StreamConnection};
pub use crate::spool::Connections;
