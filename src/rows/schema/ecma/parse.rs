//! The parser of patterns (ECMA-262 section 22.2.1, with the flag `u`).

use std::ops::Range;
use std::sync::Arc;

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use crate::rows::schema::ecma::escapes::{self, Escape};
use crate::rows::schema::ecma::scan::group_names;

/// A part of a pattern.
#[derive(Debug)]
pub(super) enum Node {
    /// One character of a set.
    Set(Arc<ClassUnicode>),
    Sequence(Vec<Node>),
    Alternatives(Vec<Node>),
    /// A capturing group, counted from 0.
    Group(usize, Box<Node>),
    Repeat(Box<Repeat>),
    Look {
        node: Box<Node>,
        is_behind: bool,
        is_negative: bool,
    },
    Start,
    End,
    WordBoundary {
        is_negative: bool,
    },
    /// The text of a group. Of groups that share a name, at most one is set.
    Backreference(Vec<usize>),
}

#[derive(Debug)]
pub(super) struct Repeat {
    pub(super) node: Node,
    pub(super) min: u32,
    pub(super) max: Option<u32>,
    pub(super) is_greedy: bool,
    /// The groups inside: each repetition unsets them.
    pub(super) groups: Range<usize>,
}

/// A parsed pattern and the number of its groups.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) node: Node,
    pub(super) groups: usize,
}

/// The parser recurses into groups.
const DEPTH_MAX: usize = 100;

/// Parses a pattern.
///
/// # Errors
/// What is wrong with it, or not supported.
pub(super) fn parse(pattern: &str) -> Result<Parsed, String> {
    let names = group_names(pattern);
    let mut parser = Parser { rest: pattern, groups: 0, depth: 0, names: &names };
    let node = parser.alternatives()?;
    match parser.rest.chars().next() {
        Some(c) => Err(format!("{c} has no counterpart before it")),
        None => Ok(Parsed { node, groups: parser.groups }),
    }
}

struct Parser<'a> {
    rest: &'a str,
    /// Capturing groups so far.
    groups: usize,
    depth: usize,
    names: &'a [&'a str],
}

impl Parser<'_> {
    fn eat(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn alternatives(&mut self) -> Result<Node, String> {
        let mut alternatives = vec![self.sequence()?];
        while self.eat("|") {
            alternatives.push(self.sequence()?);
        }
        Ok(if alternatives.len() == 1 { alternatives.remove(0) } else { Node::Alternatives(alternatives) })
    }

    fn sequence(&mut self) -> Result<Node, String> {
        let mut nodes = Vec::new();
        while !self.rest.is_empty() && !self.rest.starts_with(['|', ')']) {
            let groups_before = self.groups;
            let node = self.atom()?;
            nodes.push(self.repeated(node, groups_before)?);
        }
        Ok(Node::Sequence(nodes))
    }

    fn atom(&mut self) -> Result<Node, String> {
        let Some(c) = self.rest.chars().next() else { return Err("it ends too early".into()) };
        if c == '(' {
            return self.group();
        }
        if c == '\\' {
            return self.escape();
        }
        self.rest = &self.rest[c.len_utf8()..];
        Ok(match c {
            '^' => Node::Start,
            '$' => Node::End,
            '.' => set(escapes::not_line_terminator()),
            '[' => set(self.class()?),
            '*' | '+' | '?' => return Err(format!("{c} has nothing before it to repeat")),
            c => set(escapes::one(c)),
        })
    }

    fn group(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("its groups are nested more than {DEPTH_MAX} deep"));
        }
        let looks = [("(?=", false, false), ("(?!", false, true), ("(?<=", true, false), ("(?<!", true, true)];
        let look = looks.into_iter().find(|(opening, ..)| self.eat(opening));
        let node = if let Some((_, is_behind, is_negative)) = look {
            Node::Look { node: Box::new(self.alternatives()?), is_behind, is_negative }
        } else if self.eat("(?:") {
            self.alternatives()?
        } else if self.rest.starts_with("(?") && !self.rest.starts_with("(?<") {
            let opening: String = self.rest.chars().take(3).collect();
            return Err(format!("{opening} is not supported beside look-around and back-references"));
        } else {
            let group = self.groups;
            self.groups += 1;
            self.eat("(");
            if self.eat("?<") {
                let (_, rest) = self.rest.split_once('>').ok_or("the name of a group has no end")?;
                self.rest = rest;
            }
            Node::Group(group, Box::new(self.alternatives()?))
        };
        self.depth -= 1;
        if self.eat(")") { Ok(node) } else { Err("a group has no end".into()) }
    }

    fn escape(&mut self) -> Result<Node, String> {
        let (escape, rest) = escapes::read(self.rest, false)?;
        self.rest = rest;
        Ok(match escape {
            Escape::Character(c) => set(escapes::one(c)),
            Escape::Set(characters) => set(characters),
            Escape::WordBoundary { is_negative } => Node::WordBoundary { is_negative },
            Escape::Group(number) if number <= self.names.len() => Node::Backreference(vec![number - 1]),
            Escape::Group(number) => return Err(format!("\\{number} refers to no group")),
            Escape::Name(name) => {
                let named = |group: &usize| self.names[*group] == name;
                let groups: Vec<_> = (0..self.names.len()).filter(named).collect();
                if groups.is_empty() {
                    return Err(format!("\\k<{name}> refers to no group"));
                }
                Node::Backreference(groups)
            }
        })
    }

    /// A class, after its opening bracket.
    fn class(&mut self) -> Result<ClassUnicode, String> {
        let is_negative = self.eat("^");
        let mut set = ClassUnicode::empty();
        loop {
            if self.eat("]") {
                break;
            }
            let first = self.class_item()?;
            let Some(begin) = first.literal().filter(|_| self.rest.starts_with('-') && !self.rest.starts_with("-]"))
            else {
                set.union(&first.set());
                continue;
            };
            self.eat("-");
            let Some(end) = self.class_item()?.literal() else {
                return Err("a range of characters ends with a set".into());
            };
            if begin > end {
                return Err(format!("the range {begin}-{end} is the wrong way round"));
            }
            set.push(ClassUnicodeRange::new(begin, end));
        }
        if is_negative {
            set.negate();
        }
        Ok(set)
    }

    fn class_item(&mut self) -> Result<Escape<'static>, String> {
        let c = self.rest.chars().next().ok_or("a class has no end")?;
        if c != '\\' {
            self.rest = &self.rest[c.len_utf8()..];
            return Ok(Escape::Character(c));
        }
        let (escape, rest) = escapes::read(self.rest, true)?;
        self.rest = rest;
        match escape {
            Escape::Character(c) => Ok(Escape::Character(c)),
            Escape::Set(set) => Ok(Escape::Set(set)),
            _ => Err("a class has a back-reference or \\B".into()),
        }
    }

    fn repeated(&mut self, node: Node, groups_before: usize) -> Result<Node, String> {
        let Some((min, max)) = self.quantifier()? else { return Ok(node) };
        if matches!(node, Node::Look { .. } | Node::Start | Node::End | Node::WordBoundary { .. }) {
            return Err("an assertion is repeated".into());
        }
        let is_greedy = !self.eat("?");
        if self.quantifier()?.is_some() {
            return Err("a quantifier follows another one".into());
        }
        Ok(Node::Repeat(Box::new(Repeat { node, min, max, is_greedy, groups: groups_before..self.groups })))
    }

    fn quantifier(&mut self) -> Result<Option<(u32, Option<u32>)>, String> {
        for (sign, range) in [("*", (0, None)), ("+", (1, None)), ("?", (0, Some(1)))] {
            if self.eat(sign) {
                return Ok(Some(range));
            }
        }
        let Some((bounds, rest)) = self.rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
            return Ok(None);
        };
        let (min, max) =
            bounds.split_once(',').map_or((bounds, Some(bounds)), |(min, max)| (min, (!max.is_empty()).then_some(max)));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(min) || !max.is_none_or(is_number) {
            return Ok(None);
        }
        let number = |text: &str| text.parse().map_err(|_| format!("the count {text} is too large"));
        let (min, max) = (number(min)?, max.map(number).transpose()?);
        if max.is_some_and(|max| max < min) {
            return Err(format!("the counts of {{{bounds}}} are the wrong way round"));
        }
        self.rest = rest;
        Ok(Some((min, max)))
    }
}

fn set(characters: ClassUnicode) -> Node {
    Node::Set(Arc::new(characters))
}
