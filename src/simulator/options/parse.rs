//! The values of options, from text.

use std::str::FromStr;
use std::time::Duration;

use super::check::FAILURES_MAX;
use super::choices::{InvalidKind, OpenFailure, RetryAfter};
use super::option_key::Parsed;
use crate::config::units::parse_duration;
use crate::simulator::profile::Profile;

pub(super) fn number<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Parsed<T> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

pub(super) fn number_unless(text: &str, word: &str) -> Parsed<Option<u64>> {
    if text == word { Ok(None) } else { number(text).map(Some) }
}

pub(super) fn connections(text: &str) -> Parsed<u32> {
    Ok(number_unless(text, "all")?.map_or(u32::MAX, |count| u32::try_from(count).unwrap_or(u32::MAX)))
}

pub(super) fn percent(text: &str) -> Parsed<f64> {
    let percent: f64 = number(text.strip_suffix('%').unwrap_or(text))?;
    if (0.0..=100.0).contains(&percent) { Ok(percent) } else { Err("not from 0 to 100".into()) }
}

pub(super) fn switch(text: &str) -> Parsed<bool> {
    one_of(text, &[("true", true), ("false", false)])
}

#[expect(clippy::unnecessary_wraps, reason = "every parser of the table returns `Parsed`")]
pub(super) fn own(text: &str) -> Parsed<String> {
    Ok(text.into())
}

pub(super) fn one_of<T: Copy>(text: &str, choices: &[(&str, T)]) -> Parsed<T> {
    choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| "unknown choice".into())
}

pub(super) fn list<T>(text: &str, read: impl Fn(&str) -> Parsed<T>) -> Parsed<Vec<T>> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(read).collect()
}

pub(super) fn invalid_kinds(text: &str) -> Parsed<Vec<InvalidKind>> {
    if text == "all" {
        return Ok(InvalidKind::ALL.into());
    }
    let names = InvalidKind::ALL.map(InvalidKind::name).join(", ");
    let choices = InvalidKind::ALL.map(|kind| (kind.name(), kind));
    list(text, |name| one_of(name, &choices).map_err(|_| format!("{name:?} is not one of {names}")))
}

pub(super) fn statuses(text: &str) -> Parsed<Vec<u16>> {
    runs(text, number)
}

pub(super) fn open_failures(text: &str) -> Parsed<Vec<OpenFailure>> {
    let choices =
        [("refused", OpenFailure::Refused), ("garbage", OpenFailure::Garbage), ("silent", OpenFailure::Silent)];
    runs(text, |name| one_of(name, &choices))
}

/// A list whose items may be repeated: `429*3`.
pub(super) fn runs<T: Clone>(text: &str, read: impl Fn(&str) -> Parsed<T>) -> Parsed<Vec<T>> {
    let runs = list(text, |item| {
        let (item, times) = item.split_once('*').unwrap_or((item, "1"));
        let times: usize = number(times)?;
        if times > FAILURES_MAX {
            return Err(format!("more than {FAILURES_MAX} of them"));
        }
        Ok(vec![read(item)?; times])
    })?;
    Ok(runs.concat())
}

pub(super) fn profile(text: &str) -> Parsed<Profile> {
    Profile::named(text).ok_or_else(|| "there is no such profile".into())
}

pub(super) fn retry_after(text: &str) -> Parsed<RetryAfter> {
    match text.strip_prefix("date:") {
        _ if text == "absent" => Ok(RetryAfter::Absent),
        Some(seconds) => number(seconds).map(RetryAfter::Date),
        None => number(text).map(RetryAfter::Seconds),
    }
}

pub(super) fn duration(text: &str) -> Parsed<Duration> {
    parse_duration(text).map_err(|error| match error.hint() {
        Some(hint) => format!("{}; {hint}", error.message()),
        None => error.message().into(),
    })
}
