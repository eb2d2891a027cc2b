//! Variables of the environment and of `.env`, and which of the two layers one comes from.

use std::fmt;
use std::rc::Rc;

use crate::error::Error;

/// The place of a variable, for errors.
#[derive(Clone)]
pub(in crate::config) enum Origin {
    Environment,
    Dotenv { file: Rc<str>, line: usize },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("environment"),
            Self::Dotenv { file, line } => write!(f, "{file}:{line}"),
        }
    }
}

/// A variable that cxsink reads. Without `Debug`: the value may be a secret.
pub(in crate::config) struct Variable {
    pub(super) origin: Origin,
    pub(super) name: String,
    pub(in crate::config) value: String,
}

impl Variable {
    /// Puts origin and name of the variable in front of an error about its value.
    pub(super) fn locate(&self, error: Error) -> Error {
        error.while_doing(format!("{}: {}", self.origin, self.name))
    }
}

/// The variables of one layer, without the empty ones: templates of deployments unset a variable by an empty value.
#[derive(Default)]
pub(in crate::config) struct Variables(Vec<Variable>);

impl Variables {
    pub(super) fn push(&mut self, variable: Variable) {
        if !variable.value.is_empty() {
            self.0.push(variable);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Variable> {
        self.0.iter()
    }

    /// The last one wins, as in a shell.
    pub(super) fn get(&self, name: &str) -> Option<&Variable> {
        self.0.iter().rev().find(|variable| variable.name == name)
    }
}

/// Both layers of variables. The parts of one URL may come from both: the password from the environment, the rest from `.env`.
#[derive(Clone, Copy)]
pub(in crate::config) struct Stack<'a> {
    pub(super) lower: &'a Variables,
    pub(super) upper: &'a Variables,
}

impl<'a> Stack<'a> {
    pub(in crate::config) fn get(self, name: &str) -> Option<&'a Variable> {
        self.upper.get(name).or_else(|| self.lower.get(name))
    }
}
