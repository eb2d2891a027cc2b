//! The streams that a command is for: one without a name, or those of `[streams.NAME]`.

mod overview;
mod selection;

pub(super) use self::overview::{Row, overview};
pub(super) use self::selection::{Stream, check_has_stream};
