//! The options by name, for the command line, C and Python: one table that says for each what it takes and how it is set.

use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;

use super::options::{Cut, FAILURES_MAX, InvalidKind, InvalidMix, RetryAfter, SimulatorOptions};
use crate::config::units::parse_duration;
use crate::error::{Error, ErrorKind, Result};

/// An option of the simulator that can be set by name.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct OptionKey {
    /// The name of the field in [`SimulatorOptions`].
    pub name: &'static str,
    /// What it does, in a line; the field says it in full.
    pub about: &'static str,
    /// What it is unless it is set; `None` where no text stands for that.
    pub default: Option<&'static str>,
    /// What it takes, for people: `"a number"`.
    pub takes: &'static str,
    set: fn(&mut SimulatorOptions, &str) -> Parsed<()>,
}

/// `Err` says what the value should have been.
type Parsed<T> = std::result::Result<T, String>;

impl SimulatorOptions {
    /// Every option that [`set`](Self::set) knows.
    ///
    /// ```
    /// use cxsink::simulator::SimulatorOptions;
    ///
    /// assert!(SimulatorOptions::keys().iter().any(|key| key.name == "close_after"));
    /// ```
    pub fn keys() -> &'static [OptionKey] {
        KEYS
    }

    /// Sets one option by its name, from text.
    ///
    /// Numbers and percents are decimal, switches `true` or `false`, durations `500ms`, `30s`, `5m` or `1h`; a list is separated by commas.
    ///
    /// ```
    /// use cxsink::simulator::SimulatorOptions;
    ///
    /// let mut options = SimulatorOptions::default();
    /// options.set("events", "endless")?;
    /// options.set("invalid_kinds", "not_json,bad_date")?;
    /// options.set("token_failures", "429*3,503")?;
    /// options.set("retry_after", "date:2")?;
    /// assert_eq!(options.token_failures, [429, 429, 429, 503]);
    ///
    /// let error = options.set("close_afer", "10").unwrap_err();
    /// assert_eq!(error.hint(), Some("did you mean \"close_after\"?"));
    /// # Ok::<(), cxsink::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` for an unknown name, with the nearest one as hint, and for a value that cannot be read.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
            return Err(unknown(name));
        };
        (key.set)(self, value.trim()).map_err(|why| {
            let shown = if name == "client_secret" { String::new() } else { format!(" {value:?}") };
            let message =
                format!("setting the simulator's option {name:?}: the value{shown} is not {}: {why}", key.takes);
            Error::new(ErrorKind::InvalidArgument, message)
        })
    }
}

fn unknown(name: &str) -> Error {
    let error = Error::new(ErrorKind::InvalidArgument, format!("the simulator has no option {name:?}"));
    let nearest = KEYS.iter().min_by_key(|key| strsim::damerau_levenshtein(key.name, name));
    match nearest {
        Some(key) => error.with_hint(format!("did you mean {:?}?", key.name)),
        None => error,
    }
}

const NUMBER: &str = "a number";
const COUNT_OR_NEVER: &str = "a number of events or \"never\"";
const CONNECTIONS: &str = "a number of connections or \"all\"";
const PERCENT: &str = "a percentage";
const SWITCH: &str = "\"true\" or \"false\"";
const DURATION: &str = "a duration such as \"500ms\" or \"30s\"";
const TEXT: &str = "text";
const STATUSES: &str = "a list of HTTP statuses such as \"429*3,503\"";

/// One row of the table: `name, what it does, default, what it takes, reader`.
macro_rules! key {
    ($field:ident, $about:expr, $default:expr, $takes:expr, $read:expr) => {
        OptionKey {
            name: stringify!($field),
            about: $about,
            default: $default,
            takes: $takes,
            set: |options, text| {
                options.$field = $read(text)?;
                Ok(())
            },
        }
    };
}

const KEYS: &[OptionKey] = &[
    key!(seed, "Decides every byte of every event: the same seed gives the same events", Some("1"), NUMBER, number),
    key!(port, "The port of this machine to listen on; 0 takes a free one", Some("0"), NUMBER, number),
    key!(events, "How many events the stream has", Some("10000"), "a number or \"endless\"", |text| number_unless(
        text, "endless"
    )),
    key!(rate, "Events a second on each connection; 0 is as fast as they are read", Some("0"), NUMBER, number),
    key!(redelivery_percent, "Share of events that repeat an earlier one byte by byte", Some("0"), PERCENT, percent),
    key!(
        update_percent,
        "Share of events that carry an earlier event's key with other attributes",
        Some("0"),
        PERCENT,
        percent
    ),
    key!(repeat_window, "How many events back a redelivery or an update reaches at most", Some("1000"), NUMBER, number),
    key!(invalid_percent, "Share of events that a sink must refuse", Some("0"), PERCENT, percent),
    key!(
        invalid_kinds,
        "What is wrong with those events",
        Some("not_json,missing_field,unknown_key,bad_enum,bad_date,bad_key_pattern"),
        "\"all\" or a list of kinds",
        invalid_kinds
    ),
    key!(
        invalid_mix,
        "How the kinds of invalid events follow each other",
        Some("round-robin"),
        "\"round-robin\" or \"random\"",
        |text| { one_of(text, &[("round-robin", InvalidMix::RoundRobin), ("random", InvalidMix::Random)]) }
    ),
    key!(
        oversize_bytes,
        "The length of an oversize event; a sink takes 1048576 bytes by default",
        Some("1048577"),
        NUMBER,
        number
    ),
    key!(
        wall_clock,
        "Stamps events with the time of day; their bytes then differ from run to run",
        Some("false"),
        SWITCH,
        switch
    ),
    key!(client_id, "The client's id that the token endpoint knows", Some("simulator-client"), TEXT, own),
    key!(
        client_secret,
        "The client's secret that the token endpoint knows",
        Some("simulator-secret"),
        TEXT,
        |text: &str| Ok::<_, String>(SecretString::from(text))
    ),
    key!(stream_id, "The only stream there is", Some("simulator-stream"), TEXT, own),
    key!(scope, "The only scope that may be asked for", Some("data-actions:read"), TEXT, own),
    key!(granted_scope, "The scope in the token answer; without it, the one that was asked for", None, TEXT, |text| {
        own(text).map(Some)
    }),
    key!(
        token_lifetime,
        "How long a token is good; after that the handshake refuses it with 401",
        Some("1h"),
        DURATION,
        duration
    ),
    key!(
        close_when_expired,
        "Closes a stream with 4001 when the token expires that it was opened with",
        Some("false"),
        SWITCH,
        switch
    ),
    key!(token_failures, "The statuses of the first answers of the token endpoint", Some(""), STATUSES, statuses),
    key!(token_answer, "Sent in place of each good token answer", None, TEXT, |text| own(text).map(Some)),
    key!(handshake_failures, "The statuses of the first answers to a handshake", Some(""), STATUSES, statuses),
    key!(
        retry_after,
        "The Retry-After of answers with 429 or 503",
        Some("absent"),
        "\"absent\", seconds, or \"date:\" and seconds",
        retry_after
    ),
    key!(
        close_after,
        "Closes the stream after so many events on a connection",
        Some("never"),
        COUNT_OR_NEVER,
        |text| number_unless(text, "never")
    ),
    key!(close_code, "The code of that close frame; 1005 sends a frame without a code", Some("1008"), NUMBER, number),
    key!(close_reason, "The reason in that close frame", Some("simulated"), TEXT, own),
    key!(
        close_connections,
        "How many connections are closed so, counted from the first",
        Some("1"),
        CONNECTIONS,
        connections
    ),
    key!(
        cut_after,
        "Ends the connection without a close frame after so many events on it",
        Some("never"),
        COUNT_OR_NEVER,
        |text| number_unless(text, "never")
    ),
    key!(cut_how, "By a TCP reset, or by the end of the TCP stream", Some("reset"), "\"reset\" or \"end\"", |text| {
        one_of(text, &[("reset", Cut::Reset), ("end", Cut::End)])
    }),
    key!(cut_connections, "How many connections are cut, counted from the first", Some("1"), CONNECTIONS, connections),
    key!(
        silence_after,
        "Sends nothing and answers no ping after so many events on a connection",
        Some("never"),
        COUNT_OR_NEVER,
        |text| number_unless(text, "never")
    ),
    key!(
        silence_connections,
        "How many connections fall silent, counted from the first",
        Some("1"),
        CONNECTIONS,
        connections
    ),
    key!(replay_events, "Sends so many of the last events again on each further connection", Some("0"), NUMBER, number),
    key!(
        close_at_end,
        "Closes the stream with 1000 after the last event; otherwise it stays open",
        Some("false"),
        SWITCH,
        switch
    ),
    key!(ping_every, "Sends a ping after so many events; 0: only after the last event", Some("0"), NUMBER, number),
    key!(ping_interval, "Sends a ping when none was sent for so long; 0s: never", Some("0s"), DURATION, duration),
    key!(binary, "Sends binary messages instead of text", Some("false"), SWITCH, switch),
    key!(
        frames_per_write,
        "How many messages go to the socket in one write; 0: as many as fit into 64 KiB",
        Some("0"),
        NUMBER,
        number
    ),
];

fn number<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Parsed<T> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn number_unless(text: &str, word: &str) -> Parsed<Option<u64>> {
    if text == word { Ok(None) } else { number(text).map(Some) }
}

fn connections(text: &str) -> Parsed<u32> {
    Ok(number_unless(text, "all")?.map_or(u32::MAX, |count| u32::try_from(count).unwrap_or(u32::MAX)))
}

fn percent(text: &str) -> Parsed<f64> {
    let percent: f64 = number(text.strip_suffix('%').unwrap_or(text))?;
    if (0.0..=100.0).contains(&percent) { Ok(percent) } else { Err("it must be from 0 to 100".into()) }
}

fn switch(text: &str) -> Parsed<bool> {
    one_of(text, &[("true", true), ("false", false)])
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that every reader of the table has")]
fn own(text: &str) -> Parsed<String> {
    Ok(text.into())
}

fn one_of<T: Copy>(text: &str, choices: &[(&str, T)]) -> Parsed<T> {
    choices
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, value)| *value)
        .ok_or_else(|| "there is no such choice".into())
}

fn list<T>(text: &str, read: impl Fn(&str) -> Parsed<T>) -> Parsed<Vec<T>> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(read).collect()
}

fn invalid_kinds(text: &str) -> Parsed<Vec<InvalidKind>> {
    if text == "all" {
        return Ok(InvalidKind::ALL.into());
    }
    let names = InvalidKind::ALL.map(InvalidKind::name).join(", ");
    let choices = InvalidKind::ALL.map(|kind| (kind.name(), kind));
    list(text, |name| one_of(name, &choices).map_err(|_| format!("{name:?} is none of {names}")))
}

fn statuses(text: &str) -> Parsed<Vec<u16>> {
    let runs = list(text, |item| {
        let (status, times) = item.split_once('*').unwrap_or((item, "1"));
        let times: usize = number(times)?;
        if times > FAILURES_MAX {
            return Err(format!("at most {FAILURES_MAX} are kept"));
        }
        Ok(vec![number(status)?; times])
    })?;
    Ok(runs.concat())
}

fn retry_after(text: &str) -> Parsed<RetryAfter> {
    match text.strip_prefix("date:") {
        _ if text == "absent" => Ok(RetryAfter::Absent),
        Some(seconds) => number(seconds).map(RetryAfter::Date),
        None => number(text).map(RetryAfter::Seconds),
    }
}

fn duration(text: &str) -> Parsed<Duration> {
    parse_duration(text).map_err(|error| match error.hint() {
        Some(hint) => format!("{}; {hint}", error.message()),
        None => error.message().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, value: &str) -> Result<String> {
        let mut options = SimulatorOptions::default();
        options.set(name, value)?;
        let text = format!("{options:?}");
        let start = text.find(&format!(" {name}: ")).unwrap() + name.len() + 3;
        Ok(text[start..].to_owned())
    }

    #[test]
    fn each_option_is_set_by_its_name() {
        let cases = [
            ("seed", "7", "7,"),
            ("events", "endless", "None,"),
            ("events", "0", "Some(0),"),
            ("redelivery_percent", "2.5%", "2.5,"),
            ("invalid_kinds", "oversize, not_json", "[Oversize, NotJson],"),
            ("invalid_mix", "random", "Random,"),
            ("token_lifetime", "1500ms", "1.5s,"),
            ("token_lifetime", "2h", "7200s,"),
            ("handshake_failures", "429*2,500", "[429, 429, 500],"),
            ("retry_after", "5", "Seconds(5),"),
            ("retry_after", "date:6", "Date(6),"),
            ("cut_after", "never", "None,"),
            ("cut_how", "end", "End,"),
            ("close_connections", "all", "4294967295,"),
            ("binary", "true", "true,"),
            ("granted_scope", "", "Some(\"\"),"),
        ];
        for (name, value, expected) in cases {
            let found = shown(name, value).unwrap();
            assert!(found.starts_with(expected), "{name} = {value}: {found}");
        }
    }

    #[test]
    fn every_field_has_a_name_and_every_name_a_field() {
        let text = format!("{:#?}", SimulatorOptions::default());
        // Fields stand at the first level of indentation; a list's items stand deeper.
        let fields: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("    "))
            .filter(|line| !line.starts_with([' ', ']', ')']))
            .filter_map(|line| line.split_once(':'))
            .map(|(name, _)| name)
            .collect();
        let names: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
        assert_eq!(fields, names);
    }

    #[test]
    fn the_defaults_that_are_told_are_the_defaults() {
        let defaults = format!("{:#?}", SimulatorOptions::default());
        for key in KEYS {
            let mut options = SimulatorOptions::default();
            let Some(default) = key.default else {
                assert!(defaults.contains(&format!("{}: None", key.name)), "{}", key.name);
                continue;
            };
            options.set(key.name, default).unwrap();
            assert_eq!(format!("{options:#?}"), defaults, "{} = {default}", key.name);
        }
    }

    #[test]
    fn a_bad_value_says_what_it_should_be() {
        let cases = [
            ("seed", "-1", "a number"),
            ("update_percent", "101", "from 0 to 100"),
            ("invalid_kinds", "bad_enum,nonsense", "\"nonsense\" is none of not_json"),
            ("token_lifetime", "5", "5 has no unit"),
            ("token_lifetime", "99999999999999999h", "too long"),
            ("token_failures", "429*2000", "at most 1000"),
            ("retry_after", "soon", "\"date:\" and seconds"),
            ("binary", "yes", "\"true\" or \"false\""),
        ];
        for (name, value, part) in cases {
            let error = shown(name, value).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().contains(part) && error.message().contains(name), "{error}");
        }
    }

    #[test]
    fn a_secret_stays_out_of_debug() {
        assert!(!shown("client_secret", "tr0ub4dor").unwrap().contains("tr0ub4dor"));
    }
}
