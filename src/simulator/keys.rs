//! The options by name, for the command line, C and Python: one table with the text of each and how it is set.

use std::str::FromStr;
use std::time::Duration;

use crate::config::Secret;

use super::options::{
    Cut, FAILURES_MAX, InvalidKind, InvalidMix, MessageForm, OpenFailure, RetryAfter, SimulatorOptions,
};
use super::profile::Profile;
use crate::config::units::parse_duration;
use crate::error::{Error, ErrorKind, Result};

/// An option of the simulator that can be set by name.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct OptionKey {
    /// The name of the field in [`SimulatorOptions`].
    pub name: &'static str,
    /// Effect, in one line; the field's documentation has it in full.
    pub about: &'static str,
    /// Default value; `None` if there is no text for it.
    pub default: Option<&'static str>,
    /// Form of the value, in words: `"a number"`.
    pub takes: &'static str,
    set: fn(&mut SimulatorOptions, &str) -> Parsed<()>,
}

/// The error is the reason why the value is wrong.
type Parsed<T> = std::result::Result<T, String>;

impl SimulatorOptions {
    /// Returns every option that [`set`](Self::set) knows.
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
    /// Numbers and percentages are decimal, switches `true` or `false`, durations `500ms`, `30s`, `5m` or `1h`. Commas separate a list.
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
    /// `InvalidArgument` for an unknown name, with the nearest one as hint, and for a value that cannot be parsed.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
            return Err(unknown(name));
        };
        (key.set)(self, value.trim()).map_err(|why| {
            let shown =
                if matches!(name, "client_secret" | "password") { String::new() } else { format!(" {value:?}") };
            let message =
                format!("setting the simulator's option {name:?}: the value{shown} is not {}: {why}", key.takes);
            Error::new(ErrorKind::InvalidArgument, message)
        })
    }
}

fn unknown(name: &str) -> Error {
    let error =
        Error::new(ErrorKind::InvalidArgument, format!("parsing the simulator's options: there is no option {name:?}"));
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

/// One row of the table: name, effect, default, form of the value, parser.
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
    key!(
        profile,
        "Platform whose stream is played",
        Some("data-actions"),
        "data-actions, event-hub, agent-assist, genesys, ringcentral or 8x8",
        profile
    ),
    key!(
        seed,
        "Seed of all random numbers: the same seed gives the same events, byte by byte",
        Some("1"),
        NUMBER,
        number
    ),
    key!(port, "Port to listen on, on 127.0.0.1; 0 takes a free one", Some("0"), NUMBER, number),
    key!(events, "Number of events of the stream", Some("10000"), "a number or \"endless\"", |text| number_unless(
        text, "endless"
    )),
    key!(rate, "Events per second on each connection; 0: as fast as the client reads", Some("0"), NUMBER, number),
    key!(redelivery_percent, "Share of events that repeat an earlier one, byte by byte", Some("0"), PERCENT, percent),
    key!(
        update_percent,
        "Share of events that have an earlier event's key with other attributes",
        Some("0"),
        PERCENT,
        percent
    ),
    key!(
        repeat_window,
        "Maximum distance, in events, between an event and its redelivery or update",
        Some("1000"),
        NUMBER,
        number
    ),
    key!(invalid_percent, "Share of events that a sink must reject", Some("0"), PERCENT, percent),
    key!(
        invalid_kinds,
        "Kinds of invalid events",
        Some("not_json,missing_field,unknown_key,bad_enum,bad_date,bad_key_pattern"),
        "\"all\" or a list of kinds",
        invalid_kinds
    ),
    key!(
        invalid_mix,
        "Order of the kinds of invalid events",
        Some("round-robin"),
        "\"round-robin\" or \"random\"",
        |text| { one_of(text, &[("round-robin", InvalidMix::RoundRobin), ("random", InvalidMix::Random)]) }
    ),
    key!(
        oversize_bytes,
        "Length of an oversize event in bytes; a sink's default limit is 1048576",
        Some("1048577"),
        NUMBER,
        number
    ),
    key!(
        wall_clock,
        "Stamps events with the current time; their bytes then differ from run to run",
        Some("false"),
        SWITCH,
        switch
    ),
    key!(client_id, "Client id that the token endpoint accepts", Some("simulator-client"), TEXT, own),
    key!(
        client_secret,
        "Client secret that the token endpoint accepts",
        Some("simulator-secret"),
        TEXT,
        |text: &str| Ok::<_, String>(Secret::from(text))
    ),
    key!(
        username,
        "User name, or id of the access key, that the token endpoint accepts",
        Some("simulator-user"),
        TEXT,
        own
    ),
    key!(
        password,
        "Password, or secret of the access key, that the token endpoint accepts",
        Some("simulator-password"),
        TEXT,
        |text: &str| Ok::<_, String>(Secret::from(text))
    ),
    key!(
        token_file,
        "File to write valid tokens into, for profiles without a token endpoint",
        None,
        "a path",
        |text: &str| Ok::<_, String>(Some(text.into()))
    ),
    key!(stream_id, "Id of the only stream", Some("simulator-stream"), TEXT, own),
    key!(scope, "The only scope that a client may request", Some("data-actions:read"), TEXT, own),
    key!(granted_scope, "Scope in the token response; without it, the requested one", None, TEXT, |text| {
        own(text).map(Some)
    }),
    key!(
        token_lifetime,
        "Lifetime of a token; after it, the handshake responds with 401",
        Some("1h"),
        DURATION,
        duration
    ),
    key!(close_when_expired, "Closes a stream with 4001 when its token expires", Some("false"), SWITCH, switch),
    key!(token_failures, "Statuses of the first responses of the token endpoint", Some(""), STATUSES, statuses),
    key!(token_answer, "Body in place of each good token response", None, TEXT, |text| own(text).map(Some)),
    key!(handshake_failures, "Statuses of the first responses to a handshake", Some(""), STATUSES, statuses),
    key!(
        open_failures,
        "How the first openings of the conversation fail, in profiles that have one",
        Some(""),
        "a list of refused, garbage and silent, such as \"refused*2,silent\"",
        open_failures
    ),
    key!(
        heartbeats_unanswered,
        "Number of heartbeats without an answer, from the first one on",
        Some("0"),
        "a number of heartbeats or \"all\"",
        connections
    ),
    key!(
        heartbeat_interval,
        "Sends the server's own heartbeat when the last one is this old, in profiles that have one; 0s: never",
        Some("30s"),
        DURATION,
        duration
    ),
    key!(
        retry_after,
        "Retry-After of responses with 429 or 503",
        Some("absent"),
        "\"absent\", seconds, or \"date:\" and seconds",
        retry_after
    ),
    key!(close_after, "Closes the stream after N events on a connection", Some("never"), COUNT_OR_NEVER, |text| {
        number_unless(text, "never")
    }),
    key!(close_code, "Code of that close frame; 1005 sends a frame without a code", Some("1008"), NUMBER, number),
    key!(close_reason, "Reason in that close frame", Some("simulated"), TEXT, own),
    key!(
        close_connections,
        "Number of connections that are closed so, from the first one on",
        Some("1"),
        CONNECTIONS,
        connections
    ),
    key!(
        cut_after,
        "Cuts the connection, without a close frame, after N events on it",
        Some("never"),
        COUNT_OR_NEVER,
        |text| number_unless(text, "never")
    ),
    key!(
        cut_how,
        "How a cut ends the connection: with a TCP reset or with a FIN",
        Some("reset"),
        "\"reset\" or \"end\"",
        |text| { one_of(text, &[("reset", Cut::Reset), ("end", Cut::End)]) }
    ),
    key!(
        cut_connections,
        "Number of connections that are cut, from the first one on",
        Some("1"),
        CONNECTIONS,
        connections
    ),
    key!(
        silence_after,
        "Falls silent, without pongs, after N events on a connection",
        Some("never"),
        COUNT_OR_NEVER,
        |text| number_unless(text, "never")
    ),
    key!(
        silence_connections,
        "Number of connections that fall silent, from the first one on",
        Some("1"),
        CONNECTIONS,
        connections
    ),
    key!(
        replay_events,
        "Number of last events that each further connection gets again at its start",
        Some("0"),
        NUMBER,
        number
    ),
    key!(
        close_at_end,
        "Closes the stream with 1000 after the last event; otherwise it stays open",
        Some("false"),
        SWITCH,
        switch
    ),
    key!(ping_every, "Sends a ping after N events; 0: only after the last event", Some("0"), NUMBER, number),
    key!(ping_interval, "Sends a ping when the last one is this old; 0s: never", Some("0s"), DURATION, duration),
    key!(binary, "Sends binary messages instead of text", Some("false"), SWITCH, switch),
    key!(
        message_form,
        "What a message holds in the place of the event; lines: the whole message is JSON Lines",
        Some("event"),
        "\"event\", \"array\" or \"lines\"",
        |text| {
            one_of(text, &[("event", MessageForm::Event), ("array", MessageForm::Array), ("lines", MessageForm::Lines)])
        }
    ),
    key!(message_events, "Largest number of events in a message that holds several", Some("10"), NUMBER, number),
    key!(
        frames_per_write,
        "Number of messages in one write to the socket; 0: as many as fit into 64 KiB",
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
    if (0.0..=100.0).contains(&percent) { Ok(percent) } else { Err("not from 0 to 100".into()) }
}

fn switch(text: &str) -> Parsed<bool> {
    one_of(text, &[("true", true), ("false", false)])
}

#[expect(clippy::unnecessary_wraps, reason = "every parser of the table returns `Parsed`")]
fn own(text: &str) -> Parsed<String> {
    Ok(text.into())
}

fn one_of<T: Copy>(text: &str, choices: &[(&str, T)]) -> Parsed<T> {
    choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| "unknown choice".into())
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
    list(text, |name| one_of(name, &choices).map_err(|_| format!("{name:?} is not one of {names}")))
}

fn statuses(text: &str) -> Parsed<Vec<u16>> {
    runs(text, number)
}

fn open_failures(text: &str) -> Parsed<Vec<OpenFailure>> {
    let choices =
        [("refused", OpenFailure::Refused), ("garbage", OpenFailure::Garbage), ("silent", OpenFailure::Silent)];
    runs(text, |name| one_of(name, &choices))
}

/// A list whose items may be repeated: `429*3`.
fn runs<T: Clone>(text: &str, read: impl Fn(&str) -> Parsed<T>) -> Parsed<Vec<T>> {
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

fn profile(text: &str) -> Parsed<Profile> {
    Profile::named(text).ok_or_else(|| "there is no such profile".into())
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
            ("profile", "8x8", "EightByEight,"),
            ("open_failures", "refused*2, silent", "[Refused, Refused, Silent],"),
            ("heartbeats_unanswered", "all", "4294967295,"),
            ("message_form", "lines", "Lines,"),
            ("token_file", "a/token", "Some(\"a/token\"),"),
            ("granted_scope", "", "Some(\"\"),"),
        ];
        for (name, value, expected) in cases {
            let found = shown(name, value).unwrap();
            assert!(found.starts_with(expected), "{name} = {value}: {found}");
        }
    }

    #[test]
    fn every_field_has_a_key_and_every_key_a_field() {
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
    fn the_listed_defaults_are_the_defaults() {
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
    fn a_bad_value_is_refused_with_its_form() {
        let cases = [
            ("seed", "-1", "a number"),
            ("update_percent", "101", "from 0 to 100"),
            ("invalid_kinds", "bad_enum,nonsense", "\"nonsense\" is not one of not_json"),
            ("token_lifetime", "5", "5 has no unit"),
            ("token_lifetime", "99999999999999999h", "too long"),
            ("token_failures", "429*2000", "more than 1000"),
            ("retry_after", "soon", "\"date:\" and seconds"),
            ("binary", "yes", "\"true\" or \"false\""),
            ("profile", "genesis", "event-hub"),
            ("open_failures", "late", "refused, garbage and silent"),
        ];
        for (name, value, part) in cases {
            let error = shown(name, value).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().contains(part) && error.message().contains(name), "{error}");
        }
    }

    #[test]
    fn a_secret_stays_out_of_debug() {
        for name in ["client_secret", "password"] {
            assert!(!shown(name, "tr0ub4dor").unwrap().contains("tr0ub4dor"), "{name}");
        }
    }
}
