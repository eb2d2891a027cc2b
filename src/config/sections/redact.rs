//! `[[redact]]`: the values that are removed or replaced before an event is spooled.

use std::path::PathBuf;

use toml::de::{DeTable, DeValue};

use crate::config::columns::{array, in_order, inline, quoted};
use crate::config::pointer;
use crate::config::units::shown;
use crate::error::{Error, Result};

/// Far above any configuration. An event is walked once for all rules.
const RULES_MAX: usize = 256;
/// The walk keeps a little for each level.
const SEGMENTS_MAX: usize = 32;

/// `[[redact]]`: one rule.
///
/// ```
/// # use cxsink::Config;
/// # use cxsink::config::Redaction;
/// let mut config = Config::default();
/// config.set("redact", r#"[{ pointer = "/attributes/agentId", with = "mask" }, { pointer = "/notes/*", with = "drop" }]"#)?;
/// assert_eq!(config.redact[0].with, Redaction::Mask);
/// # Ok::<(), cxsink::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RedactRule {
    /// The place: a JSON pointer (RFC 6901) in which `*` is every member or element, and `~2` is a star.
    pub pointer: String,
    /// What happens to the value there.
    pub with: Redaction,
    /// The file with the key, for [`Redaction::Hmac`]. It is read when the sink is opened.
    pub key_file: Option<PathBuf>,
}

/// `redact.with`: what happens to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Redaction {
    /// The member is removed; an element of an array becomes `null`.
    #[default]
    Drop,
    /// A fixed value of the same type is in its place: `"***"`, `0`, `false`, `{}` or `[]`.
    Mask,
    /// Its HMAC-SHA-256 is in its place, in hexadecimal: equal values stay equal.
    Hmac,
}

impl Redaction {
    const ALL: [Self; 3] = [Self::Drop, Self::Mask, Self::Hmac];

    /// The word for this value in configuration files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Mask => "mask",
            Self::Hmac => "hmac",
        }
    }

    fn parse(word: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|redaction| redaction.as_str() == word)
            .ok_or_else(|| bad(format!("`with` is {}: it must be drop, mask or hmac", shown(word))))
    }
}

impl RedactRule {
    /// A rule without a key.
    pub fn new(pointer: impl Into<String>, with: Redaction) -> Self {
        Self { pointer: pointer.into(), with, key_file: None }
    }

    fn from_toml(toml: &DeValue<'_>) -> Result<Self> {
        toml.as_table().ok_or_else(not_rules).and_then(Self::from_table)
    }

    fn from_table(table: &DeTable<'_>) -> Result<Self> {
        let (mut pointer, mut with, mut key_file) = (None, None, None);
        for (_, name, value) in in_order(table) {
            let text = || value.as_str().ok_or_else(|| bad(format!("`{name}` is not text")));
            match name {
                "pointer" => pointer = Some(text()?.to_owned()),
                "with" => with = Some(Redaction::parse(text()?)?),
                "key_file" => key_file = Some(PathBuf::from(text()?)),
                _ => return Err(bad(format!("unknown member {}", shown(name)))),
            }
        }
        let pointer = pointer.ok_or_else(|| bad("a rule has no `pointer`".into()))?;
        let with = with.ok_or_else(|| bad(format!("the rule of {} has no `with`", shown(&pointer))))?;
        Ok(Self { pointer, with, key_file })
    }

    /// The steps of the pointer.
    pub(crate) fn steps(&self) -> Vec<RedactStep> {
        self.pointer.split('/').skip(1).map(RedactStep::new).collect()
    }

    fn check(&self) -> Result<()> {
        let pointer = shown(&self.pointer);
        // Stars apart, the syntax is RFC 6901's.
        if let Some(problem) = pointer::problem(&self.pointer.replace("~2", "")) {
            return Err(bad(format!("{pointer} {problem}")));
        }
        if self.pointer.is_empty() {
            return Err(bad("the empty pointer is the whole event".into()));
        }
        if self.pointer.split('/').count() > SEGMENTS_MAX + 1 {
            return Err(bad(format!("{pointer} has more than {SEGMENTS_MAX} steps")));
        }
        match (self.with, &self.key_file) {
            (Redaction::Hmac, None) => {
                Err(Error::config(format!("the rule of {pointer} has no `key_file`, and hmac needs a key"))
                    .with_hint("make one with `openssl rand -hex 32`, readable for the user of the sink only"))
            }
            (Redaction::Drop | Redaction::Mask, Some(_)) => {
                let with = self.with.as_str();
                Err(Error::config(format!("the rule of {pointer} has a `key_file`, and {with} needs none"))
                    .with_hint("remove it, or set with = \"hmac\""))
            }
            (Redaction::Hmac, Some(file)) if file.as_os_str().is_empty() => {
                Err(bad(format!("the `key_file` of {pointer} is empty")))
            }
            _ => Ok(()),
        }
    }

    fn show(&self) -> String {
        let key_file = self.key_file.as_ref().map(|file| format!(", key_file = {}", quoted(&file.to_string_lossy())));
        let (pointer, with) = (quoted(&self.pointer), self.with.as_str());
        format!("{{ pointer = {pointer}, with = \"{with}\"{} }}", key_file.unwrap_or_default())
    }
}

/// A step of a rule's pointer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum RedactStep {
    /// A member of an object, or an element of an array by its number.
    Name(String),
    /// Every member or element.
    Every,
}

impl RedactStep {
    fn new(escaped: &str) -> Self {
        if escaped == "*" {
            return Self::Every;
        }
        // Before `~0`, so that `~02` becomes `~2`.
        Self::Name(pointer::unescape(&escaped.replace("~2", "*")))
    }

    fn may_be(&self, other: &Self) -> bool {
        *self == Self::Every || *other == Self::Every || self == other
    }
}

pub(in crate::config) fn rules_from_text(text: &str) -> Result<Vec<RedactRule>> {
    rules_from_toml(inline(text)?.get_ref())
}

pub(in crate::config) fn rules_from_toml(toml: &DeValue<'_>) -> Result<Vec<RedactRule>> {
    let rules = toml.as_array().ok_or_else(not_rules)?;
    rules.iter().map(|rule| RedactRule::from_toml(rule.get_ref())).collect()
}

/// Checks each rule, and that no place has two of them.
pub(in crate::config) fn check_rules(rules: &[RedactRule]) -> Result<()> {
    if rules.len() > RULES_MAX {
        return Err(Error::config(format!("{} rules are too many; {RULES_MAX} are the limit", rules.len())));
    }
    rules.iter().try_for_each(RedactRule::check)?;
    let steps: Vec<_> = rules.iter().map(RedactRule::steps).collect();
    for (at, first) in steps.iter().enumerate() {
        for (second, other) in steps.iter().zip(rules).take(at) {
            if first.iter().zip(second).all(|(one, other)| one.may_be(other)) {
                let (one, other) = (shown(&other.pointer), shown(&rules[at].pointer));
                return Err(Error::config(format!(
                    "{one} and {other} overlap: both apply to one place, or one is inside the other"
                ))
                .with_hint("write one rule for each place; a rule covers all that is inside it"));
            }
        }
    }
    Ok(())
}

pub(in crate::config) fn show_rules(rules: &[RedactRule]) -> String {
    array(rules.iter().map(RedactRule::show))
}

fn not_rules() -> Error {
    bad("expected a list of rules".into())
}

fn bad(reason: String) -> Error {
    Error::config(reason).with_hint(
        r#"write [[redact]], and below it pointer = "/attributes/agentId" and with = "drop", "mask" or "hmac"; in a variable [{ pointer = "/a", with = "mask" }]"#,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Result<Vec<RedactRule>> {
        rules_from_text(text).and_then(|rules| check_rules(&rules).map(|()| rules))
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_said() {
        let check = |text: &str, reason: &str| {
            let error = rules(text).unwrap_err();
            assert!(error.message().contains(reason) && error.hint().is_some(), "{text}: {error:?}");
        };
        check(r#"[{ pointer = "a", with = "drop" }]"#, "must start with /");
        check(r#"[{ pointer = "/a~3", with = "drop" }]"#, "contains a ~");
        check(r#"[{ pointer = "", with = "drop" }]"#, "the whole event");
        check(r#"[{ pointer = "/a", with = "hide" }]"#, "drop, mask or hmac");
        check(r#"[{ pointer = "/a" }]"#, "has no `with`");
        check(r#"[{ with = "drop" }]"#, "has no `pointer`");
        check(r#"[{ pointer = 1, with = "drop" }]"#, "not text");
        check(r#"[{ pointer = "/a", with = "drop", key = "x" }]"#, "unknown member");
        check(r#"[{ pointer = "/a", with = "hmac" }]"#, "has no `key_file`");
        check(r#"[{ pointer = "/a", with = "mask", key_file = "k" }]"#, "needs none");
        check(r#"["/a"]"#, "expected a list of rules");
        check(r#"{ pointer = "/a", with = "drop" }"#, "expected a list of rules");
        check(&format!(r#"[{{ pointer = "{}", with = "drop" }}]"#, "/a".repeat(33)), "more than 32 steps");
        for (one, other) in
            [("/a", "/a"), ("/a", "/a/b"), ("/a/b", "/a"), ("/a/*", "/a/b/c"), ("/*/b", "/a/*"), ("/*", "/~2")]
        {
            check(
                &format!(r#"[{{ pointer = "{one}", with = "drop" }}, {{ pointer = "{other}", with = "mask" }}]"#),
                "overlap",
            );
        }
    }

    #[test]
    fn rules_beside_each_other_are_taken_and_shown() {
        let text = r#"[{ pointer = "/a/*/b", with = "mask" }, { pointer = "/a/*/c", with = "drop" }, { pointer = "/d", with = "hmac", key_file = "k" }]"#;
        let found = rules(text).unwrap();
        assert_eq!(show_rules(&found), text);
        assert_eq!(
            rules(r#"[{ pointer = "/ab", with = "drop" }, { pointer = "/a", with = "drop" }]"#).unwrap().len(),
            2
        );
        assert_eq!(rules("[]").unwrap(), []);
    }

    #[test]
    fn a_star_is_escaped_by_a_number_of_its_own() {
        let steps = RedactRule::new("/*/~2/a~2~1~0", Redaction::Drop).steps();
        let name = |text: &str| RedactStep::Name(text.into());
        assert_eq!(steps, [RedactStep::Every, name("*"), name("a*/~")]);
        assert_eq!(RedactRule::new("/~02", Redaction::Drop).steps(), [name("~2")]);
    }
}
