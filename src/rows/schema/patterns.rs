//! Patterns with the meaning of ECMA-262, which JSON Schema prescribes.
//!
//! The library's engine runs in linear time, and so matches all patterns without look-around and back-references. The library
//! translates character classes for it (`\d`, `\w`, `\s`, `.`). Here follow the parts that it reads in another way or not at all: word
//! boundaries are those of ASCII, `\<` and `\>` are the characters themselves, `[]` matches nothing and `[^]` everything.
//!
//! The other patterns become a keyword of our own, with a matcher whose steps are counted ([`ecma`](crate::rows::schema::ecma)).

use std::collections::BTreeMap;
use std::sync::Arc;

use jsonschema::json::Node;
use jsonschema::{Keyword, ValidationError};
use serde_json::{Map, Value as Json};

use crate::rows::schema::ecma::{Program, is_backtracking};
use crate::rows::schema::formats::Options;
use crate::rows::schema::view::{Budgeted, View};
use crate::rows::schema::walk::visit_mut;

/// The keyword of patterns that backtrack.
pub(super) const BACKTRACKING: &str = "cxsink-pattern";

/// The patterns of a schema.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    /// Translated ones with their originals.
    pub(super) originals: BTreeMap<String, String>,
    /// Those that cannot be used, with the reasons.
    refused: BTreeMap<String, String>,
    backtracking: BTreeMap<String, Arc<Program>>,
}

impl Patterns {
    /// Translates the patterns of a schema.
    pub(super) fn translate(document: &mut Json) -> Self {
        let mut patterns = Self::default();
        visit_mut(document, &mut |schema| patterns.translate_in(schema));
        patterns
    }

    fn translate_in(&mut self, schema: &mut Map<String, Json>) {
        if let Some(Json::String(pattern)) = schema.get_mut("pattern") {
            if !is_backtracking(pattern) {
                self.rewrite(pattern);
            } else if self.compile(pattern)
                && let Some(pattern) = schema.remove("pattern")
            {
                schema.insert(BACKTRACKING.into(), pattern);
            }
        }
        if let Some(Json::Object(patterns)) = schema.get_mut("patternProperties") {
            let renamed = std::mem::take(patterns).into_iter().map(|(mut pattern, schema)| {
                if is_backtracking(&pattern) {
                    self.refused.insert(pattern.clone(), NO_NAMES.into());
                } else {
                    self.rewrite(&mut pattern);
                }
                (pattern, schema)
            });
            *patterns = renamed.collect();
        }
    }

    fn rewrite(&mut self, pattern: &mut String) {
        if let Some(translation) = translate(pattern) {
            let original = std::mem::replace(pattern, translation.clone());
            self.originals.insert(translation, original);
        }
    }

    /// Compiles a pattern that backtracks; false if it is refused.
    fn compile(&mut self, pattern: &str) -> bool {
        match Program::new(pattern) {
            Ok(program) => {
                self.backtracking.insert(pattern.to_owned(), Arc::new(program));
                true
            }
            Err(reason) => {
                self.refused.insert(pattern.to_owned(), reason);
                false
            }
        }
    }

    /// The reason why a pattern, as translated, cannot be used.
    pub(super) fn refusal(&self, pattern: &str) -> String {
        let pattern = self.originals.get(pattern).map_or(pattern, String::as_str);
        match (self.refused.get(pattern), Program::new(pattern)) {
            (Some(reason), _) => reason.clone(),
            (None, Err(reason)) => reason,
            (None, Ok(_)) => "it is too large".into(),
        }
    }

    /// The options with the keyword of patterns that backtrack.
    pub(super) fn with_keyword<'i>(&self, options: Options<'i>) -> Options<'i> {
        let programs = self.backtracking.clone();
        options.with_keyword(BACKTRACKING, move |_: &Map<String, Json>, pattern: &Json, _| {
            let program = pattern.as_str().and_then(|pattern| programs.get(pattern));
            let program = program.ok_or_else(|| ValidationError::schema("is no keyword of a schema"))?;
            let message = format!("value does not match {pattern}");
            Ok(Box::new(Pattern { program: Arc::clone(program), message }) as Box<dyn for<'v> Keyword<'v, Budgeted>>)
        })
    }
}

const NO_NAMES: &str = "look-around and back-references are not supported in patternProperties";

/// The keyword.
struct Pattern {
    program: Arc<Program>,
    message: String,
}

impl<'v> Keyword<'v, Budgeted> for Pattern {
    fn is_valid(&self, value: View<'v>) -> bool {
        // Where the budget is spent, the outcome does not count.
        value.as_string().is_none_or(|text| self.program.is_match(&text, value.budget()).unwrap_or(true))
    }

    fn validate(&self, value: View<'v>) -> Result<(), ValidationError<'v>> {
        if self.is_valid(value) { Ok(()) } else { Err(ValidationError::custom(self.message.as_str())) }
    }
}

/// The pattern in the syntax of our engine; `None` if it is the same.
fn translate(pattern: &str) -> Option<String> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        let (token, replacement) = match c {
            '\\' => {
                let token = escape(rest);
                (token, translate_escape(token, in_class))
            }
            '[' if !in_class => match ["[^]", "[]"].into_iter().find(|empty| rest.starts_with(empty)) {
                Some("[^]") => ("[^]", Some(r"[\s\S]".to_owned())),
                Some(empty) => (empty, Some(r"[^\s\S]".to_owned())),
                None => {
                    in_class = true;
                    ("[", None)
                }
            },
            ']' => {
                in_class = false;
                ("]", None)
            }
            c => (&rest[..c.len_utf8()], None),
        };
        out.push_str(replacement.as_deref().unwrap_or(token));
        rest = &rest[token.len()..];
    }
    (out != pattern).then_some(out)
}

/// The escape sequence at the beginning of a text: two characters, or the two halves of a surrogate pair.
fn escape(text: &str) -> &str {
    if surrogates(text).is_some() {
        return &text[..12];
    }
    let end = text.char_indices().nth(2).map_or(text.len(), |(end, _)| end);
    &text[..end]
}

fn translate_escape(token: &str, in_class: bool) -> Option<String> {
    Some(match (token, in_class) {
        // In a class, \b is the backspace.
        (r"\b", true) => r"\x08".into(),
        (r"\b", false) => r"(?-u:\b)".into(),
        (r"\B", false) => r"(?-u:\B)".into(),
        (r"\<" | r"\>", _) => token[1..].to_owned(),
        (r"\0", _) => r"\x00".into(),
        _ => format!(r"\u{{{:x}}}", surrogates(token)? as u32),
    })
}

/// The character of a surrogate pair, such as `\uD83D\uDE00`.
fn surrogates(text: &str) -> Option<char> {
    let unit = |text: &str| u16::from_str_radix(text.strip_prefix(r"\u")?.get(..4)?, 16).ok();
    let units = [unit(text)?, unit(text.get(6..)?)?];
    (0xD800..0xDC00).contains(&units[0]).then_some(())?;
    char::decode_utf16(units).next()?.ok()
}
