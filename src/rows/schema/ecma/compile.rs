//! A pattern as instructions.

use std::sync::Arc;

use regex_syntax::hir::ClassUnicode;

use crate::rows::schema::ecma::parse::{Node, Repeat, parse};

/// A compiled pattern.
#[derive(Debug)]
pub(in crate::rows::schema) struct Program {
    pub(super) instructions: Vec<Instruction>,
    /// Two for each group (its begin and its end), and one for each loop (where its current repetition began).
    pub(super) slots: usize,
}

#[derive(Debug)]
pub(super) enum Instruction {
    /// Goes over one character of the set.
    Set {
        set: Arc<ClassUnicode>,
        is_behind: bool,
    },
    Start,
    End,
    WordBoundary {
        is_negative: bool,
    },
    /// Goes on at one place; at the other one if that fails.
    Split {
        first: usize,
        second: usize,
    },
    Jump(usize),
    /// Notes the position.
    Save(usize),
    /// Unsets slots.
    Reset {
        begin: usize,
        end: usize,
    },
    /// Fails where a slot has the position: an empty repetition.
    Progress(usize),
    /// Matches the instructions from the next one to [`Instruction::Matched`], and goes on at `next` where it was.
    Look {
        is_negative: bool,
        next: usize,
    },
    Backreference {
        groups: Vec<usize>,
        is_behind: bool,
    },
    Matched,
}

/// Counts repeat the instructions of what they count.
const INSTRUCTIONS_MAX: usize = 10_000;

impl Program {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What is wrong with it, or not supported.
    pub(in crate::rows::schema) fn new(pattern: &str) -> Result<Self, String> {
        let parsed = parse(pattern)?;
        let mut compiler = Compiler { instructions: Vec::new(), slots: 2 * parsed.groups };
        compiler.node(&parsed.node, false)?;
        compiler.push(Instruction::Matched)?;
        Ok(Self { instructions: compiler.instructions, slots: compiler.slots })
    }
}

struct Compiler {
    instructions: Vec<Instruction>,
    slots: usize,
}

impl Compiler {
    fn push(&mut self, instruction: Instruction) -> Result<usize, String> {
        if self.instructions.len() == INSTRUCTIONS_MAX {
            return Err(format!("it takes more than {INSTRUCTIONS_MAX} instructions; use smaller counts"));
        }
        self.instructions.push(instruction);
        Ok(self.instructions.len() - 1)
    }

    fn here(&self) -> usize {
        self.instructions.len()
    }

    /// `is_behind`: in a look-behind, which matches from right to left.
    fn node(&mut self, node: &Node, is_behind: bool) -> Result<(), String> {
        match node {
            Node::Set(set) => self.push(Instruction::Set { set: Arc::clone(set), is_behind }).map(drop),
            Node::Sequence(nodes) if is_behind => nodes.iter().rev().try_for_each(|node| self.node(node, true)),
            Node::Sequence(nodes) => nodes.iter().try_for_each(|node| self.node(node, false)),
            Node::Alternatives(nodes) => self.alternatives(nodes, is_behind),
            Node::Group(group, node) => {
                let slots = [2 * group, 2 * group + 1];
                self.push(Instruction::Save(slots[usize::from(is_behind)]))?;
                self.node(node, is_behind)?;
                self.push(Instruction::Save(slots[usize::from(!is_behind)])).map(drop)
            }
            Node::Repeat(repeat) => self.repeat(repeat, is_behind),
            Node::Look { node, is_behind, is_negative } => {
                let look = self.push(Instruction::Look { is_negative: *is_negative, next: 0 })?;
                self.node(node, *is_behind)?;
                self.push(Instruction::Matched)?;
                self.instructions[look] = Instruction::Look { is_negative: *is_negative, next: self.here() };
                Ok(())
            }
            Node::Start => self.push(Instruction::Start).map(drop),
            Node::End => self.push(Instruction::End).map(drop),
            Node::WordBoundary { is_negative } => {
                self.push(Instruction::WordBoundary { is_negative: *is_negative }).map(drop)
            }
            Node::Backreference(groups) => {
                self.push(Instruction::Backreference { groups: groups.clone(), is_behind }).map(drop)
            }
        }
    }

    fn alternatives(&mut self, nodes: &[Node], is_behind: bool) -> Result<(), String> {
        let Some((last, others)) = nodes.split_last() else { return Ok(()) };
        let mut jumps = Vec::new();
        for node in others {
            let split = self.push(Instruction::Matched)?;
            self.node(node, is_behind)?;
            jumps.push(self.push(Instruction::Matched)?);
            self.instructions[split] = Instruction::Split { first: split + 1, second: self.here() };
        }
        self.node(last, is_behind)?;
        for jump in jumps {
            self.instructions[jump] = Instruction::Jump(self.here());
        }
        Ok(())
    }

    fn repeat(&mut self, repeat: &Repeat, is_behind: bool) -> Result<(), String> {
        for _ in 0..repeat.min {
            self.repetition(repeat, is_behind)?;
        }
        let start = self.slots;
        self.slots += 1;
        let mut splits = Vec::new();
        let optional = repeat.max.map_or(1, |max| max - repeat.min);
        for _ in 0..optional {
            splits.push(self.push(Instruction::Matched)?);
            self.push(Instruction::Save(start))?;
            self.repetition(repeat, is_behind)?;
            self.push(Instruction::Progress(start))?;
        }
        if repeat.max.is_none()
            && let [split] = splits[..]
        {
            self.push(Instruction::Jump(split))?;
        }
        let end = self.here();
        for split in splits {
            let (first, second) = if repeat.is_greedy { (split + 1, end) } else { (end, split + 1) };
            self.instructions[split] = Instruction::Split { first, second };
        }
        Ok(())
    }

    fn repetition(&mut self, repeat: &Repeat, is_behind: bool) -> Result<(), String> {
        // Also without groups: what repeats nothing takes instructions too, and so comes to an end.
        self.push(Instruction::Reset { begin: 2 * repeat.groups.start, end: 2 * repeat.groups.end })?;
        self.node(&repeat.node, is_behind)
    }
}
