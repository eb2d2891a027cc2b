//! Frames: however the bytes are cut, and whatever a server does wrong.

use super::*;
use crate::source::test_server::frame;

/// Decodes `bytes`, handed over in pieces of `piece` bytes.
fn decode(bytes: &[u8], piece: usize, kept_max: u64) -> (Vec<Vec<u8>>, Vec<Frame>, Option<ProtocolViolation>) {
    let mut frames = Frames::new(&[], kept_max);
    let (mut burst, mut others) = (Burst::default(), Vec::new());
    let mut violation = None;
    let mut rest = bytes;
    loop {
        match frames.next(&mut burst) {
            Ok(Some(Frame::Message)) => {}
            Ok(Some(other)) => others.push(other),
            Ok(None) if rest.is_empty() => break,
            Ok(None) => {
                let read = frames.fill(&mut &rest[..piece.min(rest.len())]).unwrap();
                assert!(read > 0, "no room");
                rest = &rest[read..];
            }
            Err(found) => {
                violation = Some(found);
                break;
            }
        }
    }
    (burst.iter().map(<[u8]>::to_vec).collect(), others, violation)
}

#[test]
fn messages_come_out_as_they_went_in_however_they_are_cut() {
    let large = vec![b'x'; 200_000];
    let middle = vec![b'y'; 40_000];
    let stream = [
        frame(1, true, b"{\"a\":1}"),
        frame(2, true, &[0, 255, 254]),
        frame(1, true, b""),
        frame(1, true, &[b'"', 0xff, b'"']),
        frame(1, true, &large),
        frame(1, false, b"one "),
        frame(9, true, b"are you there"),
        frame(0, false, b""),
        frame(0, true, b"two"),
        frame(2, false, b""),
        frame(0, true, b""),
        frame(10, true, b"pong"),
        frame(1, true, &middle),
        frame(1, true, &middle),
        frame(8, true, &[3, 232, b'b', b'y', b'e']),
    ]
    .concat();
    let expected: [&[u8]; 9] =
        [b"{\"a\":1}", &[0, 255, 254], b"", &[b'"', 0xff, b'"'], &large, b"one two", b"", &middle, &middle];
    let ends = [
        Frame::Ping(b"are you there".into()),
        Frame::Pong,
        Frame::Close(Some(Close { code: 1000, reason: b"bye".into() })),
    ];
    for piece in [1, 2, 7, 125, 4096, 65_536] {
        let (events, others, violation) = decode(&stream, piece, 1 << 20);
        assert_eq!(violation, None);
        assert!(events.iter().map(Vec::as_slice).eq(expected), "pieces of {piece} bytes");
        assert_eq!(others, ends);
    }
}

#[test]
fn of_a_huge_message_the_beginning_is_kept_and_the_next_one_is_whole() {
    let huge = vec![b'h'; 300_000];
    let stream =
        [frame(1, true, &huge), frame(1, false, &huge), frame(0, true, &huge), frame(1, true, b"next")].concat();
    for (kept_max, first_lengths) in
        [(1000, [1000, 1000]), (300_000, [300_000, 300_000]), (600_001, [300_000, 600_000])]
    {
        let (events, _, violation) = decode(&stream, 65_536, kept_max);
        assert_eq!(violation, None);
        let lengths: Vec<_> = events.iter().map(Vec::len).collect();
        assert_eq!(lengths, [first_lengths[0], first_lengths[1], 4]);
    }
    let (events, _, _) = decode(&[frame(1, true, b"abcdef"), frame(1, true, b"g")].concat(), 100, 3);
    assert_eq!(events, [b"abc".to_vec(), b"g".to_vec()]);
}

#[test]
fn broken_rules_are_named() {
    let check = |bytes: &[u8], why: &str| {
        let (events, _, violation) = decode(&[frame(1, true, b"before"), bytes.to_vec()].concat(), 1, 1 << 20);
        assert_eq!(events, [b"before".to_vec()], "earlier events are kept");
        let violation = violation.unwrap_or_else(|| panic!("{why}: nothing noticed"));
        assert!(violation.what.contains(why), "{why}: {}", violation.what);
    };
    check(&[0xc1, 0], "reserved bits");
    check(&[0x81, 0x80, 1, 2, 3, 4], "masked");
    check(&[0x83, 0], "opcode");
    check(&[0x8b, 0], "opcode");
    check(&frame(0, true, b"x"), "continuation of no message");
    check(&[frame(1, false, b"x"), frame(2, true, b"y")].concat(), "in the middle of another");
    check(&frame(9, true, &[0; 126]), "too long");
    check(&frame(9, false, b""), "fragmented");
    check(&frame(8, true, &[3]), "half a code");
    check(&[0x81, 127, 255, 255, 255, 255, 255, 255, 255, 255], "a message of");
}

proptest::proptest! {
    #[test]
    fn how_bytes_are_cut_makes_no_difference(bytes: Vec<u8>, piece in 1..9_usize) {
        // Otherwise hardly any would be a frame.
        let likely: Vec<u8> = bytes.iter().flat_map(|byte| frame(byte & 0x8b, byte & 0x40 == 0, &bytes[..bytes.len() % 9])).collect();
        for bytes in [&bytes, &likely] {
            proptest::prop_assert_eq!(decode(bytes, piece, 100), decode(bytes, usize::MAX, 100));
        }
    }
}
