//! The rules as a tree of names: one walk of an event serves all of them.

use std::collections::HashMap;

use super::action::Action;
use crate::config::RedactStep;

/// A node by its number.
pub(super) type Node = u32;

#[derive(Debug)]
pub(super) struct Tree(Vec<Inner>);

#[derive(Debug, Default)]
struct Inner {
    names: HashMap<Box<str>, Node>,
    every: Option<Node>,
    /// Of a node without others below it.
    action: Option<Action>,
}

impl Tree {
    pub(super) const ROOT: Node = 0;

    pub(super) fn new() -> Self {
        Self(vec![Inner::default()])
    }

    pub(super) fn add(&mut self, steps: &[RedactStep], action: Action) {
        let mut node = Self::ROOT;
        for step in steps {
            node = self.below(node, step);
        }
        self.0[node as usize].action = Some(action);
    }

    /// The node of this step, which is added if it is not there.
    fn below(&mut self, node: Node, step: &RedactStep) -> Node {
        // There are a few thousand at most: 256 rules of 32 steps.
        let next = Node::try_from(self.0.len()).unwrap_or(Node::MAX);
        let inner = &mut self.0[node as usize];
        let found = match step {
            RedactStep::Every => *inner.every.get_or_insert(next),
            RedactStep::Name(name) => *inner.names.entry(name.as_str().into()).or_insert(next),
        };
        if found == next {
            self.0.push(Inner::default());
        }
        found
    }

    /// Appends the nodes that a member of this name leads to from a node. A name that is not Unicode has no rule, unless it is every name.
    pub(super) fn step(&self, node: Node, name: Option<&str>, into: &mut Vec<Node>) {
        let inner = &self.0[node as usize];
        into.extend(inner.every);
        into.extend(name.and_then(|name| inner.names.get(name)));
    }

    pub(super) fn action(&self, node: Node) -> Option<&Action> {
        self.0[node as usize].action.as_ref()
    }
}
