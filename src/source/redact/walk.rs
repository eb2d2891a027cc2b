//! One walk through a JSON text, which copies it with other values in some places.
//!
//! The text was read as JSON before, so the walk need not: where a value ends is told by brackets and quotes. It goes as deep as the
//! rules do, and passes over what is deeper.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use super::action::Action;
use super::tree::{Node, Tree};

/// The copy would be larger than it may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Applies the rules to a text that is JSON. The copy has at most `bytes_max` bytes.
pub(super) fn walk<'t>(text: &'t str, tree: &Tree, bytes_max: usize) -> Result<Cow<'t, str>, TooLarge> {
    let edits = Edits { text, copy: String::new(), copied: 0, bytes_max };
    let mut walk = Walk { text, at: 0, tree, live: vec![Tree::ROOT], edits };
    walk.skip_space();
    walk.value(0)?;
    walk.edits.finish()
}

struct Walk<'t, 'r> {
    text: &'t str,
    at: usize,
    tree: &'r Tree,
    /// The nodes of the rules that lead here, those of each level behind those of the one above.
    live: Vec<Node>,
    edits: Edits<'t>,
}

impl<'t, 'r> Walk<'t, 'r> {
    /// Passes the value that begins here. The rules of `live[from..]` may apply inside it.
    fn value(&mut self, from: usize) -> Result<(), TooLarge> {
        match self.peek() {
            b'{' if self.live.len() > from => self.members(from),
            b'[' if self.live.len() > from => self.elements(from),
            _ => {
                self.skip_value();
                Ok(())
            }
        }
    }

    fn members(&mut self, from: usize) -> Result<(), TooLarge> {
        self.at += 1;
        let (mut is_any_kept, mut is_any_dropped) = (false, false);
        // The end of the member before, or the bracket: what is from there to the name separates the two.
        let mut before = self.at;
        self.skip_space();
        while !matches!(self.peek(), b'}' | END) {
            self.skip_comma();
            let begin = self.at;
            let level = self.live.len();
            let name = self.name();
            self.step(from..level, name.as_deref());
            self.skip_space();
            // The colon.
            self.at += 1;
            self.skip_space();
            match self.action(level) {
                Some(Action::Drop) => {
                    self.skip_value();
                    self.edits.replace(before..self.at, "")?;
                    is_any_dropped = true;
                }
                action => {
                    if is_any_dropped && !is_any_kept {
                        // The comma behind members that are gone.
                        self.edits.replace(before..begin, "")?;
                    }
                    is_any_kept = true;
                    self.value_with(action, level)?;
                }
            }
            self.live.truncate(level);
            before = self.at;
            self.skip_space();
        }
        self.at += 1;
        Ok(())
    }

    fn elements(&mut self, from: usize) -> Result<(), TooLarge> {
        self.at += 1;
        self.skip_space();
        let mut number = String::new();
        for index in 0_u64.. {
            if matches!(self.peek(), b']' | END) {
                break;
            }
            self.skip_comma();
            let level = self.live.len();
            number.clear();
            // Writing to a String cannot fail.
            let _ = write!(number, "{index}");
            self.step(from..level, Some(&number));
            self.value_with(self.action(level), level)?;
            self.live.truncate(level);
            self.skip_space();
        }
        self.at += 1;
        Ok(())
    }

    /// Passes the value that begins here, and puts another one in its place if there is an action for it.
    fn value_with(&mut self, action: Option<&Action>, level: usize) -> Result<(), TooLarge> {
        let Some(action) = action else { return self.value(level) };
        let begin = self.at;
        self.skip_value();
        match action.replacement(&self.text[begin..self.at]) {
            Some(other) => self.edits.replace(begin..self.at, &other),
            None => Ok(()),
        }
    }

    /// Appends the nodes of the rules that lead to this member.
    fn step(&mut self, from: Range<usize>, name: Option<&str>) {
        for place in from {
            self.tree.step(self.live[place], name, &mut self.live);
        }
    }

    /// The action for the value, of the only rule that applies.
    fn action(&self, level: usize) -> Option<&'r Action> {
        self.live[level..].iter().find_map(|node| self.tree.action(*node))
    }

    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(END)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    fn skip_comma(&mut self) {
        if self.peek() == b',' {
            self.at += 1;
            self.skip_space();
        }
    }

    /// The name of a member, without its escapes; `None` if it is not Unicode.
    fn name(&mut self) -> Option<Cow<'t, str>> {
        let begin = self.at;
        self.skip_string();
        let quoted = &self.text[begin..self.at];
        let name = quoted.strip_prefix('"')?.strip_suffix('"')?;
        if name.contains('\\') { serde_json::from_str(quoted).ok().map(Cow::Owned) } else { Some(name.into()) }
    }

    fn skip_string(&mut self) {
        let bytes = self.text.as_bytes();
        self.at += 1;
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b'\\' => self.at += 2,
                b'"' => break,
                _ => self.at += 1,
            }
        }
        self.at = bytes.len().min(self.at + 1);
    }

    fn skip_value(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                b'"' => self.skip_string(),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                _ if depth == 0 => self.skip_scalar(),
                END => return,
                _ => {
                    self.at += 1;
                    continue;
                }
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// Passes a number, `true`, `false` or `null`.
    fn skip_scalar(&mut self) {
        while !matches!(self.peek(), b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r' | END) {
            self.at += 1;
        }
    }
}

/// In place of a byte behind the last one. No JSON text holds it.
const END: u8 = 0;

/// The copy, as far as it differs.
struct Edits<'t> {
    text: &'t str,
    copy: String,
    /// The bytes of the text that are in the copy, or were replaced.
    copied: usize,
    bytes_max: usize,
}

impl<'t> Edits<'t> {
    /// Puts another text in place of the range, which is behind those before.
    fn replace(&mut self, range: Range<usize>, with: &str) -> Result<(), TooLarge> {
        self.copy.push_str(&self.text[self.copied..range.start]);
        self.copy.push_str(with);
        self.copied = range.end;
        if self.copy.len() > self.bytes_max { Err(TooLarge) } else { Ok(()) }
    }

    fn finish(mut self) -> Result<Cow<'t, str>, TooLarge> {
        if self.copied == 0 {
            return Ok(self.text.into());
        }
        let end = self.text.len();
        self.replace(end..end, "").map(|()| self.copy.into())
    }
}
