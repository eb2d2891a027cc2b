//! Compressed messages: whatever the compressor, the fragments and the reads, the messages are those that were compressed; and what a
//! hostile server gains by them.

use fastrand::Rng;
use flate2::{Compress, Compression, FlushCompress, Status};
use proptest::prelude::*;

use super::*;
use crate::event::Burst;
use crate::source::test_server::frame;
use crate::source::websocket::frames::{Frame, Frames};
use crate::source::websocket::violation::ViolationCode;

const TEXT: u8 = 1;
const CONTINUATION: u8 = 0;
const RSV1: u8 = 0x40;

/// The server's side.
struct Deflater {
    compress: Compress,
    resets_context: bool,
}

impl Deflater {
    fn new(level: u32, window_bits: u8, resets_context: bool) -> Self {
        Self { compress: Compress::new_with_window_bits(Compression::new(level), false, window_bits), resets_context }
    }

    /// The payload of a message that is handed to the compressor in these parts, with these flushes behind them.
    fn message(&mut self, parts: &[(&[u8], FlushCompress)], ends_stream: bool) -> Vec<u8> {
        let mut payload = Vec::new();
        for &(part, flush) in parts {
            self.run(part, flush, &mut payload);
        }
        if ends_stream {
            // Section 7.2.3.5: a final block, and a byte that begins an empty one.
            self.run(b"", FlushCompress::Finish, &mut payload);
            self.compress.reset();
            payload.push(0);
        } else {
            self.run(b"", FlushCompress::Sync, &mut payload);
            assert!(payload.ends_with(&TAIL));
            payload.truncate(payload.len() - TAIL.len());
        }
        if self.resets_context {
            self.compress.reset();
        }
        payload
    }

    fn whole(&mut self, message: &[u8]) -> Vec<u8> {
        self.message(&[(message, FlushCompress::None)], false)
    }

    fn run(&mut self, input: &[u8], flush: FlushCompress, out: &mut Vec<u8>) {
        let (begin, mut status) = (self.compress.total_in(), Status::Ok);
        loop {
            out.reserve(1024);
            let taken = usize::try_from(self.compress.total_in() - begin).unwrap();
            if taken == input.len() && (flush == FlushCompress::None || status == Status::StreamEnd) {
                break;
            }
            let before = out.len();
            status = self.compress.compress_vec(&input[taken..], out, flush).unwrap();
            let is_all = usize::try_from(self.compress.total_in() - begin).unwrap() == input.len();
            if is_all && out.len() < out.capacity() && (flush != FlushCompress::Finish || status == Status::StreamEnd) {
                break;
            }
            assert!(out.len() > before || is_all, "no progress");
        }
    }
}

/// A payload in frames, cut at these places, with pings in between.
fn frames_of(payload: &[u8], is_compressed: bool, cuts: &mut [usize]) -> Vec<u8> {
    cuts.sort_unstable();
    let (mut bytes, mut from) = (Vec::new(), 0);
    for &cut in &*cuts {
        let opcode = if from == 0 && bytes.is_empty() { first(is_compressed) } else { CONTINUATION };
        bytes.extend(frame(opcode, false, &payload[from..cut]));
        bytes.extend(frame(9, true, b"still there?"));
        from = cut;
    }
    let opcode = if bytes.is_empty() { first(is_compressed) } else { CONTINUATION };
    bytes.extend(frame(opcode, true, &payload[from..]));
    bytes
}

fn first(is_compressed: bool) -> u8 {
    if is_compressed { TEXT | RSV1 } else { TEXT }
}

/// Decodes `bytes`, handed over in pieces of `piece` bytes, with the memory of the largest message.
fn decode(
    bytes: &[u8],
    piece: usize,
    kept_max: u64,
    resets_context: bool,
) -> (Vec<Vec<u8>>, Option<ProtocolViolation>) {
    let mut frames = Frames::new(&[], kept_max).inflating(Some(Deflate { resets_context }));
    let (mut burst, mut rest) = (Burst::default(), bytes);
    let violation = loop {
        match frames.next(&mut burst) {
            Ok(Some(Frame::Message | Frame::Ping(_) | Frame::Pong | Frame::Close(_))) => {}
            Ok(None) if rest.is_empty() => break None,
            Ok(None) => {
                let read = frames.fill(&mut &rest[..piece.min(rest.len())]).unwrap();
                assert!(read > 0, "no room");
                rest = &rest[read..];
            }
            Err(violation) => break Some(violation),
        }
    };
    (burst.iter().map(<[u8]>::to_vec).collect(), violation)
}

fn decode_whole(frames: &[Vec<u8>], resets_context: bool) -> (Vec<Vec<u8>>, Option<ProtocolViolation>) {
    decode(&frames.concat(), usize::MAX, 1 << 20, resets_context)
}

fn compressed(payload: &[u8]) -> Vec<u8> {
    frame(TEXT | RSV1, true, payload)
}

fn noise(rng: &mut Rng, bytes_max: usize) -> Vec<u8> {
    (0..rng.usize(0..bytes_max)).map(|_| rng.u8(..)).collect()
}

/// Words that come again, within a message and from one to the next, among random bytes.
fn some_message(rng: &mut Rng) -> Vec<u8> {
    const WORDS: [&[u8]; 6] =
        [b"{\"interactionId\":\"", b"\"timestamp\":", b"2026-11-26T", b"null", b",", b"\0\0\xff\xff"];
    let mut message = Vec::new();
    let words_max = [1, 4, 40, 4000][rng.usize(0..4)];
    for _ in 0..rng.usize(0..words_max) {
        match rng.u8(0..8) {
            0 => message.extend(noise(rng, 40)),
            _ => message.extend_from_slice(WORDS[rng.usize(0..WORDS.len())]),
        }
    }
    message
}

/// A connection's messages, and the bytes of a server that chooses everything that it may.
fn conversation(rng: &mut Rng, resets_context: bool) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut deflater = Deflater::new([0, 1, 6, 9][rng.usize(0..4)], rng.u8(9..=15), resets_context);
    let (mut messages, mut bytes) = (Vec::new(), Vec::new());
    for _ in 0..rng.usize(1..12) {
        let message = some_message(rng);
        let is_compressed = rng.u8(0..4) > 0;
        let payload = if is_compressed {
            let mut parts = Vec::new();
            let mut rest = message.as_slice();
            while !rest.is_empty() {
                let (part, tail) = rest.split_at(rng.usize(1..=rest.len()));
                let flushes = [FlushCompress::None, FlushCompress::Partial, FlushCompress::Sync, FlushCompress::Full];
                parts.push((part, flushes[rng.usize(0..4)]));
                rest = tail;
            }
            let ends_stream = rng.u8(0..5) == 0;
            if parts.last().is_none_or(|part| part.1 == FlushCompress::Sync) && !ends_stream {
                // zlib writes nothing for a second flush: then a message's last block is the one before.
                parts.push((b"", FlushCompress::Full));
            }
            deflater.message(&parts, ends_stream)
        } else {
            message.clone()
        };
        let mut cuts: Vec<usize> = (0..rng.usize(0..4)).map(|_| rng.usize(0..=payload.len())).collect();
        bytes.extend(frames_of(&payload, is_compressed, &mut cuts));
        messages.push(message);
    }
    (messages, bytes)
}

proptest! {
    #[test]
    fn messages_are_those_that_were_compressed(seed: u64, resets_context: bool, piece in 1..5000_usize) {
        let (messages, bytes) = conversation(&mut Rng::with_seed(seed), resets_context);
        let (decoded, violation) = decode(&bytes, piece, 1 << 20, resets_context);
        prop_assert_eq!(violation, None);
        prop_assert_eq!(decoded, messages);
    }

    #[test]
    fn random_bytes_are_bounded_and_the_same_however_they_are_cut(seed: u64, resets_context: bool, piece in 1..50_usize) {
        let rng = &mut Rng::with_seed(seed);
        let (_, mut bytes) = conversation(rng, resets_context);
        for _ in 0..rng.usize(0..5) {
            let place = rng.usize(0..bytes.len());
            bytes[place] = rng.u8(..);
        }
        bytes.extend(compressed(&noise(rng, 300)));
        let decoded = decode(&bytes, piece, 100, resets_context);
        prop_assert!(decoded.0.iter().all(|event| event.len() <= 100));
        prop_assert_eq!(decoded, decode(&bytes, usize::MAX, 100, resets_context));
    }
}

/// The examples of section 7.2.3.
#[test]
fn the_examples_of_the_rfc_are_inflated() {
    let hello: [&[u8]; 5] = [
        &[0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        // In two fragments.
        &[0x41, 0x03, 0xf2, 0x48, 0xcd, 0x80, 0x04, 0xc9, 0xc9, 0x07, 0x00],
        // A block without compression.
        &[0xc1, 0x0b, 0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
        // A final block.
        &[0xc1, 0x08, 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        // Two blocks.
        &[0xc1, 0x0d, 0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
    ];
    for resets_context in [false, true] {
        let frames = hello.map(<[u8]>::to_vec);
        assert_eq!(decode_whole(&frames, resets_context), (vec![b"Hello".to_vec(); 5], None));
    }
    // The second message refers to the first one.
    let takeover: [&[u8]; 2] = [hello[0], &[0xc1, 0x05, 0xf2, 0x00, 0x11, 0x00, 0x00]];
    let frames = takeover.map(<[u8]>::to_vec);
    assert_eq!(decode_whole(&frames, false), (vec![b"Hello".to_vec(); 2], None));
    // Where the context is reset, there is nothing to refer to.
    let (events, violation) = decode_whole(&frames, true);
    assert_eq!(events, [b"Hello"]);
    let violation = violation.unwrap();
    assert_eq!(violation.code, ViolationCode::Corrupt);
    assert!(violation.what.contains("too far back"), "{}", violation.what);
}

#[test]
fn empty_messages_are_empty_events() {
    let empty: [&[u8]; 3] = [
        // Section 7.2.3.6: one byte. And none at all, as a second flush of zlib gives.
        &[0x00],
        &[],
        // A final block without content.
        &[0x03, 0x00, 0x00],
    ];
    let mut deflater = Deflater::new(6, 15, false);
    let mut frames = vec![compressed(&deflater.whole(b"before"))];
    frames.extend(empty.map(compressed));
    frames.push(frame(TEXT, true, b""));
    let parts = [frame(TEXT | RSV1, false, b""), frame(CONTINUATION, false, b""), frame(CONTINUATION, true, b"\0")];
    frames.extend(parts);
    let (events, violation) = decode_whole(&frames, false);
    assert_eq!(violation, None);
    assert_eq!(events, [b"before".as_slice(), b"", b"", b"", b"", b""]);
}

#[test]
fn a_final_block_may_be_the_end_of_a_message() {
    // Without the byte behind it that section 7.2.3.5 demands.
    let mut deflater = Deflater::new(6, 15, false);
    let mut payload = deflater.message(&[(b"one", FlushCompress::None)], true);
    assert_eq!(payload.pop(), Some(0));
    let frames = [compressed(&payload), compressed(&deflater.whole(b"two"))];
    assert_eq!(decode_whole(&frames, false), (vec![b"one".to_vec(), b"two".to_vec()], None));
    // And in its middle.
    let mut first = Deflater::new(6, 15, false).message(&[(b"one", FlushCompress::None)], true);
    first.pop();
    first.extend(Deflater::new(6, 15, false).whole(b" and two"));
    assert_eq!(decode_whole(&[compressed(&first)], false), (vec![b"one and two".to_vec()], None));
}

/// A frame of 1 MB that inflates to 1 GB: each megabyte of it ends at a byte, with a context of its own.
fn bomb() -> Vec<u8> {
    let mut deflater = Deflater::new(9, 15, false);
    let mut megabyte = Vec::new();
    deflater.run(&vec![b' '; 1 << 20], FlushCompress::Full, &mut megabyte);
    let mut payload = megabyte.repeat(1024);
    payload.truncate(payload.len() - TAIL.len());
    assert!((900_000..1_200_000).contains(&payload.len()), "{}", payload.len());
    payload
}

#[test]
fn a_bomb_costs_no_more_than_the_limit_and_its_beginning_is_kept() {
    for kept_max in [0, 1000, 1 << 20, 5 << 20] {
        let kept = usize::try_from(kept_max).unwrap();
        let mut frames = Frames::new(&[], kept_max).inflating(Some(Deflate { resets_context: false }));
        let (mut burst, bytes) = (Burst::default(), [frame(TEXT, true, b""), compressed(&bomb())].concat());
        let mut rest = bytes.as_slice();
        let violation = loop {
            match frames.next(&mut burst) {
                Ok(Some(_)) => {}
                Ok(None) => assert!(frames.fill(&mut rest).unwrap() > 0, "the bomb was inflated to its end"),
                Err(violation) => break violation,
            }
        };
        assert_eq!(violation.code, ViolationCode::TooLarge);
        assert_eq!(violation.what, format!("a compressed message has more than {kept_max} bytes: only these are kept"));
        let events: Vec<&[u8]> = burst.iter().collect();
        assert_eq!(events, [b"", vec![b' '; kept].as_slice()]);
        // What was read is what the limit needs: no byte behind it was looked at.
        let read = bytes.len() - rest.len();
        assert!(read <= kept / 900 + 2 * 4096, "{read} bytes for {kept_max}");
    }
}

#[test]
fn a_message_of_the_largest_size_is_whole() {
    let mut deflater = Deflater::new(6, 15, false);
    let (fits, exceeds) = (vec![b'f'; 5000], vec![b'e'; 5001]);
    let frames = [compressed(&deflater.whole(&fits)), compressed(&deflater.whole(&exceeds))].concat();
    for piece in [1, 7, usize::MAX] {
        let (events, violation) = decode(&frames, piece, 5000, false);
        assert_eq!(events, [fits.as_slice(), &exceeds[..5000]]);
        assert_eq!(violation.unwrap().code, ViolationCode::TooLarge);
    }
}

/// The inflater's memory for a message does not go beyond the limit, however large the vector's steps are.
#[test]
fn the_room_for_a_message_ends_at_the_limit() {
    let mut inflater = Inflater::new(Deflate { resets_context: false });
    let mut message = Vec::new();
    let limit = 3 << 20;
    let violation = inflater.take(&bomb(), true, &mut message, limit).unwrap_err();
    assert_eq!(violation.code, ViolationCode::TooLarge);
    assert_eq!(message.len(), limit);
    assert!(message.capacity() <= limit + 1, "{}", message.capacity());
    assert!(inflater.inflate.total_out() <= limit as u64 + 1, "{}", inflater.inflate.total_out());
}

#[test]
fn corrupt_messages_keep_the_ones_before() {
    let mut deflater = Deflater::new(6, 15, false);
    let before = compressed(&deflater.whole(b"before"));
    let good = Deflater::new(6, 15, false).whole(b"{\"a\":1,\"b\":[1,2,3,4,5,6,7,8,9]}");
    let check = |payload: &[u8], what: &str| {
        for piece in [1, usize::MAX] {
            let bytes = [before.clone(), compressed(payload), compressed(payload)].concat();
            let (events, violation) = decode(&bytes, piece, 1 << 20, false);
            let violation = violation.unwrap_or_else(|| panic!("{what}: not noticed: {events:?}"));
            assert_eq!(violation.code, ViolationCode::Corrupt, "{what}");
            assert_eq!(events[0], b"before", "{what}");
            assert!(violation.what.starts_with("a compressed message is corrupt: "), "{what}: {}", violation.what);
        }
    };
    check(b"plain text", "no DEFLATE data");
    check(&[0x06], "a block of the reserved kind");
    check(&[0x00, 0x05, 0x00, 0x00, 0x00], "lengths that do not match");
    // A distance beyond the beginning: nothing that was sent before.
    check(&[0x62, 0x05, 0x92, 0x00], "a distance beyond the beginning");
    // Truncated before its content is complete: what the decoder makes of the tail is no event.
    for missing in 1..=4 {
        let stored = [b"\x00\x05\x00\xfa\xff".as_slice(), &b"Hello"[missing..]].concat();
        let (events, violation) = decode_whole(&[compressed(&stored)], false);
        assert_eq!((events, violation.unwrap().code), (vec![], ViolationCode::Corrupt), "{missing} bytes missing");
    }
    // Truncated anywhere: noticed here, or at the next message at the latest.
    for length in 1..good.len() - 1 {
        check(&good[..length], &format!("truncated to {length} bytes of {}", good.len()));
    }
}

#[test]
fn the_bit_of_compressed_messages_has_one_place() {
    let mut deflater = Deflater::new(6, 15, false);
    let payload = deflater.whole(b"Hello");
    let check = |bytes: &[u8], agreed: bool, says: &str| {
        let mut frames = Frames::new(bytes, 1000).inflating(agreed.then_some(Deflate { resets_context: false }));
        let mut burst = Burst::default();
        let violation = loop {
            match frames.next(&mut burst) {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{says}: not noticed"),
                Err(violation) => break violation,
            }
        };
        assert_eq!(violation.code, ViolationCode::ProtocolError, "{says}");
        assert!(violation.what.contains(says), "{says}: {}", violation.what);
    };
    check(&compressed(&payload), false, "reserved bits, though no extension");
    check(&frame(TEXT | 0x20, true, b"x"), true, "reserved bits");
    check(&frame(TEXT | 0x10, true, b"x"), true, "reserved bits");
    check(&frame(TEXT | 0x60, true, &payload), true, "reserved bits");
    for control in [8, 9, 10] {
        check(&frame(control | RSV1, true, b""), true, "RSV1");
    }
    let fragments = [frame(TEXT | RSV1, false, &payload[..2]), frame(CONTINUATION | RSV1, true, &payload[2..])];
    check(&fragments.concat(), true, "RSV1");
    let plain = [frame(TEXT, false, b"a"), frame(CONTINUATION | RSV1, true, b"b")];
    check(&plain.concat(), true, "RSV1");
}
