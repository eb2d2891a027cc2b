//! Inflates the messages that the server has compressed (RFC 7692 section 7.2.2).
//!
//! The bytes are inflated as they arrive, straight into the message: no compressed message is held, and a small frame that inflates to
//! gigabytes costs no more memory or time than a message of the largest size that is kept.

use flate2::{Decompress, FlushDecompress, Status};

use super::extension::Deflate;
use super::violation::ProtocolViolation;

/// The bytes that the server has left out at the end of each message.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
/// The first room for a message: enough for most of them.
const ROOM_MIN: usize = 4 << 10;

/// The inflater of one connection.
#[derive(Debug)]
pub(super) struct Inflater {
    inflate: Decompress,
    resets_context: bool,
    /// Whether no byte of the message has come, or none after a final block.
    is_complete: bool,
}

impl Inflater {
    pub(super) fn new(agreed: Deflate) -> Self {
        Self { inflate: Decompress::new(false), resets_context: agreed.resets_context, is_complete: true }
    }

    /// Inflates the next bytes of a message's payload and appends them to `message`, which has `bytes_max` at most afterwards: if that is
    /// not enough, its beginning is there.
    pub(super) fn take(
        &mut self,
        payload: &[u8],
        is_last: bool,
        message: &mut Vec<u8>,
        bytes_max: usize,
    ) -> Result<(), ProtocolViolation> {
        if !payload.is_empty() {
            self.inflate(payload, message, bytes_max)?;
        }
        if is_last { self.finish(message, bytes_max) } else { Ok(()) }
    }

    fn inflate(&mut self, mut input: &[u8], message: &mut Vec<u8>, bytes_max: usize) -> Result<(), ProtocolViolation> {
        self.is_complete = false;
        loop {
            if message.len() == message.capacity() {
                // One byte more than the limit shows that it is exceeded.
                let room_max = bytes_max.saturating_add(1) - message.len();
                message.reserve_exact(message.len().max(ROOM_MIN).min(room_max));
            }
            let (taken_before, length_before) = (self.inflate.total_in(), message.len());
            let inflated = self.inflate.decompress_vec(input, message, FlushDecompress::None);
            let status =
                inflated.map_err(|error| ProtocolViolation::corrupt(error.message().unwrap_or("no DEFLATE data")))?;
            let taken = usize::try_from(self.inflate.total_in() - taken_before).unwrap_or(usize::MAX);
            input = input.get(taken..).unwrap_or_default();
            if message.len() > bytes_max {
                message.truncate(bytes_max);
                return Err(ProtocolViolation::too_large(bytes_max));
            }
            if status == Status::StreamEnd {
                // A final block (section 7.2.3.5). A compressor that ends a stream begins the next one without a context.
                self.inflate.reset(false);
                self.is_complete = input.is_empty();
                if self.is_complete {
                    return Ok(());
                }
            } else if message.len() < message.capacity() {
                // What is taken is out, too.
                if input.is_empty() {
                    return Ok(());
                }
                if taken == 0 && message.len() == length_before {
                    return Err(ProtocolViolation::corrupt("the decoder takes no more bytes"));
                }
            }
        }
    }

    fn finish(&mut self, message: &mut Vec<u8>, bytes_max: usize) -> Result<(), ProtocolViolation> {
        if !self.is_complete {
            let length = message.len();
            self.inflate(&TAIL, message, bytes_max)?;
            // Behind a whole message, the tail is an empty block.
            if message.len() != length {
                return Err(ProtocolViolation::corrupt("the message ends in the middle of a block"));
            }
            self.is_complete = true;
        }
        if self.resets_context {
            self.inflate.reset(false);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "tests/deflate.rs"]
mod tests;
