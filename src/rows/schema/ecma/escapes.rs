//! The escape sequences of a pattern.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// The meaning of an escape sequence.
#[derive(Debug)]
pub(super) enum Escape<'a> {
    Character(char),
    Set(ClassUnicode),
    WordBoundary {
        is_negative: bool,
    },
    /// `\1` is 1.
    Group(usize),
    Name(&'a str),
}

impl Escape<'_> {
    pub(super) fn literal(&self) -> Option<char> {
        match self {
            Self::Character(c) => Some(*c),
            _ => None,
        }
    }

    pub(super) fn set(self) -> ClassUnicode {
        match self {
            Self::Character(c) => one(c),
            Self::Set(set) => set,
            _ => ClassUnicode::empty(),
        }
    }
}

/// Reads the escape sequence at the beginning of a text; returns the text after it.
pub(super) fn read(text: &str, in_class: bool) -> Result<(Escape<'_>, &str), String> {
    let after = &text[1..];
    let Some(c) = after.chars().next() else { return Err("it ends with a backslash".into()) };
    let rest = &after[c.len_utf8()..];
    let character = |c: char| Ok((Escape::Character(c), rest));
    let class = |set: ClassUnicode| Ok((Escape::Set(set), rest));
    match c {
        'd' => class(digits()),
        'D' => class(negated(digits())),
        'w' => class(word()),
        'W' => class(negated(word())),
        's' => class(space()),
        'S' => class(negated(space())),
        'b' if in_class => character('\u{8}'),
        'b' | 'B' => Ok((Escape::WordBoundary { is_negative: c == 'B' }, rest)),
        'f' => character('\u{c}'),
        'n' => character('\n'),
        'r' => character('\r'),
        't' => character('\t'),
        'v' => character('\u{b}'),
        '0' if !rest.starts_with(|c: char| c.is_ascii_digit()) => character('\0'),
        '1'..='9' => {
            let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            let number = after[..end].parse().map_err(|_| format!("\\{} refers to no group", &after[..end]))?;
            Ok((Escape::Group(number), &after[end..]))
        }
        'k' => {
            let name = rest.strip_prefix('<').and_then(|name| name.split_once('>'));
            name.map(|(name, rest)| (Escape::Name(name), rest)).ok_or_else(|| "\\k has no name".into())
        }
        'c' => {
            let letter = rest.chars().next().filter(char::is_ascii_alphabetic).ok_or("\\c has no letter")?;
            Ok((Escape::Character((letter as u8 % 32).into()), &rest[1..]))
        }
        'x' => {
            let (number, rest) = hexadecimal(rest, 2)?;
            Ok((Escape::Character(char::from_u32(number.into()).unwrap_or_default()), rest))
        }
        'u' => unicode(rest),
        'p' | 'P' => {
            let (name, rest) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).ok_or("\\p has no name")?;
            let set = property(name)?;
            Ok((Escape::Set(if c == 'P' { negated(set) } else { set }), rest))
        }
        c if c.is_ascii_alphanumeric() => Err(format!("\\{c} is no escape sequence of ECMA-262")),
        c => character(c),
    }
}

fn hexadecimal(text: &str, digits: usize) -> Result<(u16, &str), String> {
    let number = text.get(..digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let number = number.and_then(|digits| u16::from_str_radix(digits, 16).ok());
    number
        .map(|number| (number, &text[digits..]))
        .ok_or_else(|| format!("\\x or \\u lacks {digits} hexadecimal digits"))
}

/// `\u{…}`, `\uXXXX` or a surrogate pair, after the `u`.
fn unicode(text: &str) -> Result<(Escape<'_>, &str), String> {
    if let Some((digits, rest)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) {
        let character = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
        return character
            .map(|c| (Escape::Character(c), rest))
            .ok_or_else(|| format!("\\u{{{digits}}} is no character"));
    }
    let (unit, rest) = hexadecimal(text, 4)?;
    if let Some(c) = char::from_u32(unit.into()) {
        return Ok((Escape::Character(c), rest));
    }
    let (second, rest) = rest.strip_prefix("\\u").map_or(Ok((0, rest)), |rest| hexadecimal(rest, 4))?;
    let pair = char::decode_utf16([unit, second]).next().and_then(Result::ok);
    // No event has a text with half a pair.
    pair.map(|c| (Escape::Character(c), rest)).ok_or_else(|| format!("\\u{unit:x} is half a surrogate pair"))
}

fn digits() -> ClassUnicode {
    ranges(&[('0', '9')])
}

fn word() -> ClassUnicode {
    ranges(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')])
}

pub(super) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// `WhiteSpace` and `LineTerminator` of ECMA-262.
fn space() -> ClassUnicode {
    ranges(&[
        ('\t', '\r'),
        (' ', ' '),
        ('\u{a0}', '\u{a0}'),
        ('\u{1680}', '\u{1680}'),
        ('\u{2000}', '\u{200a}'),
        ('\u{2028}', '\u{2029}'),
        ('\u{202f}', '\u{202f}'),
        ('\u{205f}', '\u{205f}'),
        ('\u{3000}', '\u{3000}'),
        ('\u{feff}', '\u{feff}'),
    ])
}

pub(super) fn not_line_terminator() -> ClassUnicode {
    negated(ranges(&[('\n', '\n'), ('\r', '\r'), ('\u{2028}', '\u{2029}')]))
}

fn property(name: &str) -> Result<ClassUnicode, String> {
    let unknown = || format!("\\p{{{name}}} is no known property");
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'=')) {
        return Err(unknown());
    }
    let parsed = regex_syntax::parse(&format!(r"\p{{{name}}}")).map_err(|_| unknown())?;
    match parsed.into_kind() {
        HirKind::Class(Class::Unicode(set)) => Ok(set),
        _ => Err(unknown()),
    }
}

pub(super) fn one(c: char) -> ClassUnicode {
    ClassUnicode::new([ClassUnicodeRange::new(c, c)])
}

fn ranges(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().map(|&(begin, end)| ClassUnicodeRange::new(begin, end)))
}

fn negated(mut set: ClassUnicode) -> ClassUnicode {
    set.negate();
    set
}
