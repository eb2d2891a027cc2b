//! The matcher: backtracking, counted in steps of the budget.

use regex_syntax::hir::ClassUnicode;

use crate::rows::schema::budget::Budget;
use crate::rows::schema::ecma::compile::{Instruction, Program};
use crate::rows::schema::ecma::escapes::is_word;

/// An alternative that is left to try, or a slot to set back on the way to one.
enum Frame {
    Retry { instruction: usize, at: usize },
    Slot { slot: usize, value: usize },
}

/// A slot that is not set.
const UNSET: usize = usize::MAX;
/// The frames of one match: 24 MiB.
const FRAMES_MAX: usize = 1 << 20;

impl Program {
    /// Whether the pattern matches anywhere in a text; `None` if that takes more steps than the budget has, which is then spent.
    pub(in crate::rows::schema) fn is_match(&self, text: &str, budget: &Budget) -> Option<bool> {
        let mut matcher = Matcher { program: self, text, budget, slots: vec![UNSET; self.slots], frames: Vec::new() };
        let is_anchored = matches!(self.instructions.first(), Some(Instruction::Start));
        let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        for at in starts.take(if is_anchored { 1 } else { usize::MAX }) {
            if matcher.run(0, at)? {
                return Some(true);
            }
        }
        Some(false)
    }
}

struct Matcher<'a> {
    program: &'a Program,
    text: &'a str,
    budget: &'a Budget,
    slots: Vec<usize>,
    frames: Vec<Frame>,
}

impl<'a> Matcher<'a> {
    /// Runs from an instruction until one that says that all matched. Where it returns false, slots and frames are as before.
    fn run(&mut self, mut instruction: usize, mut at: usize) -> Option<bool> {
        let program = self.program;
        let base = self.frames.len();
        loop {
            self.spend(1)?;
            let next = match &program.instructions[instruction] {
                Instruction::Matched => return Some(true),
                Instruction::Set { set, is_behind } => {
                    self.over_one(set, *is_behind, at).map(|at| (instruction + 1, at))
                }
                Instruction::Start => (at == 0).then_some((instruction + 1, at)),
                Instruction::End => (at == self.text.len()).then_some((instruction + 1, at)),
                Instruction::WordBoundary { is_negative } => {
                    (self.is_word_boundary(at) != *is_negative).then_some((instruction + 1, at))
                }
                Instruction::Split { first, second } => {
                    self.push(Frame::Retry { instruction: *second, at })?;
                    Some((*first, at))
                }
                Instruction::Jump(target) => Some((*target, at)),
                Instruction::Save(slot) => {
                    self.set(*slot, at)?;
                    Some((instruction + 1, at))
                }
                Instruction::Reset { begin, end } => {
                    for slot in *begin..*end {
                        self.set(slot, UNSET)?;
                    }
                    Some((instruction + 1, at))
                }
                Instruction::Progress(slot) => (self.slots[*slot] != at).then_some((instruction + 1, at)),
                Instruction::Look { is_negative, next } => {
                    (self.look(instruction + 1, at, *is_negative)? != *is_negative).then_some((*next, at))
                }
                Instruction::Backreference { groups, is_behind } => {
                    self.over_group(groups, *is_behind, at)?.map(|at| (instruction + 1, at))
                }
            };
            match next.or_else(|| self.backtrack(base)) {
                Some(next) => (instruction, at) = next,
                None => return Some(false),
            }
        }
    }

    /// Whether a look-around finds its pattern. One that does is never entered again, and a positive one keeps its groups.
    fn look(&mut self, instruction: usize, at: usize, is_negative: bool) -> Option<bool> {
        let before = self.slots.clone();
        self.spend(before.len() as u64)?;
        let base = self.frames.len();
        let is_found = self.run(instruction, at)?;
        self.frames.truncate(base);
        if is_found && is_negative {
            self.slots = before;
        } else if is_found {
            for (slot, value) in before.into_iter().enumerate() {
                if self.slots[slot] != value {
                    self.push(Frame::Slot { slot, value })?;
                }
            }
        }
        Some(is_found)
    }

    /// The next alternative above the frames of the caller.
    fn backtrack(&mut self, base: usize) -> Option<(usize, usize)> {
        while self.frames.len() > base {
            match self.frames.pop()? {
                Frame::Retry { instruction, at } => return Some((instruction, at)),
                Frame::Slot { slot, value } => self.slots[slot] = value,
            }
        }
        None
    }

    fn set(&mut self, slot: usize, value: usize) -> Option<()> {
        let value = std::mem::replace(&mut self.slots[slot], value);
        self.push(Frame::Slot { slot, value })
    }

    fn push(&mut self, frame: Frame) -> Option<()> {
        if self.frames.len() == FRAMES_MAX {
            self.budget.spend(u64::MAX);
            return None;
        }
        self.frames.push(frame);
        self.spend(1)
    }

    fn spend(&self, steps: u64) -> Option<()> {
        self.budget.spend(steps).then_some(())
    }

    fn before(&self, at: usize) -> Option<char> {
        self.text[..at].chars().next_back()
    }

    fn after(&self, at: usize) -> Option<char> {
        self.text[at..].chars().next()
    }

    fn over_one(&self, set: &ClassUnicode, is_behind: bool, at: usize) -> Option<usize> {
        let c = if is_behind { self.before(at) } else { self.after(at) }?;
        let is_in = set
            .ranges()
            .binary_search_by(|range| {
                if range.end() < c {
                    std::cmp::Ordering::Less
                } else if range.start() > c {
                    std::cmp::Ordering::Greater
                } else {
                    std::cmp::Ordering::Equal
                }
            })
            .is_ok();
        is_in.then(|| if is_behind { at - c.len_utf8() } else { at + c.len_utf8() })
    }

    /// The place behind the text of a group; an unset one is empty.
    #[expect(clippy::option_option, reason = "the outer one is the budget's")]
    fn over_group(&self, groups: &[usize], is_behind: bool, at: usize) -> Option<Option<usize>> {
        let text: &'a str = self.text;
        let captured = groups.iter().find_map(|group| match self.slots[2 * group..2 * group + 2] {
            [begin, end] if begin != UNSET && end != UNSET => text.get(begin..end),
            _ => None,
        });
        let captured = captured.unwrap_or_default();
        self.spend(captured.len() as u64)?;
        Some(if is_behind {
            text[..at].ends_with(captured).then(|| at - captured.len())
        } else {
            text[at..].starts_with(captured).then(|| at + captured.len())
        })
    }

    fn is_word_boundary(&self, at: usize) -> bool {
        self.before(at).is_some_and(is_word) != self.after(at).is_some_and(is_word)
    }
}
