//! The keys of one stream of several: `streams.NAME.KEY`. The keys of `[stream]` stand directly below the name, those of the other
//! sections below the section's name.

use crate::config::keys::about::SECTIONS;
use crate::config::keys::key::Key;
use crate::config::keys::nearest::{nearest, unknown_near};
use crate::config::keys::table::KEYS;
use crate::error::{Error, Result};

/// The name of the table of the streams.
pub(in crate::config) const STREAMS: &str = "streams";

/// Sections that a stream cannot have of its own.
const OF_THE_PROCESS: [&str; 2] = ["http", "log"];

/// A key of one stream.
#[derive(Clone, Copy)]
pub(in crate::config) struct OwnKey<'a> {
    pub(in crate::config) stream: &'a str,
    pub(in crate::config) key: &'static Key,
}

impl OwnKey<'_> {
    /// As `set` takes it: `streams.NAME.destination.table`.
    pub(in crate::config) fn full_name(&self) -> String {
        format!("{STREAMS}.{}.{}", self.stream, own_name(self.key).unwrap_or(self.key.name))
    }
}

/// The name of a key below `[streams.NAME]`; `None` if a stream cannot have it of its own.
pub(in crate::config) fn own_name(key: &Key) -> Option<&'static str> {
    if OF_THE_PROCESS.contains(&key.section()) || key.name == "stream.name" {
        return None;
    }
    Some(key.name.strip_prefix("stream.").unwrap_or(key.name))
}

/// The key that `streams.NAME.KEY` names; `None` if the name is not one of a stream's.
pub(in crate::config) fn find_own(name: &str) -> Option<Result<OwnKey<'_>>> {
    let (streams, rest) = name.split_once('.').unwrap_or((name, ""));
    if streams != STREAMS {
        return None;
    }
    let Some((stream, own)) = rest.split_once('.') else {
        return Some(Err(Error::config(format!("{name} is no key"))
            .with_hint("name a key of a stream, such as streams.sales.id or streams.sales.destination.table")));
    };
    Some(own_key(stream, own).map(|key| OwnKey { stream, key }))
}

/// The key `own` of this stream; an error names the nearest key.
pub(in crate::config) fn own_key(stream: &str, own: &str) -> Result<&'static Key> {
    let found = KEYS.iter().find(|key| own_name(key) == Some(own));
    found.ok_or_else(|| {
        let full = format!("{STREAMS}.{stream}.{own}");
        let is_of_the_process = |section: &&str| OF_THE_PROCESS.contains(section);
        if let Some(section) = own.split('.').next().filter(is_of_the_process) {
            return Error::config(format!("{full}: [{section}] is for the whole process"))
                .with_hint(format!("set {own}, which holds for all streams"));
        }
        if own == "name" || own == "stream.name" {
            return Error::config(format!("{full}: the name of a stream is that of its section"))
                .with_hint("remove the key, or change the name of the section");
        }
        let names = KEYS.iter().filter_map(own_name);
        let direct = own.strip_prefix("stream.").unwrap_or(own);
        let nearest = nearest(direct, names.map(|name| (name, name))).unwrap_or_default();
        unknown_near("key", &full, &format!("{STREAMS}.{stream}.{nearest}")).with_hint(
            "see docs/configuration.md for all keys; those of [stream] stand directly below the stream's name, others below their section",
        )
    })
}

/// A table below `[streams.NAME]` that is neither a section nor a key.
pub(in crate::config) fn unknown_own_section(stream: &str, name: &str) -> Error {
    let is_own = |section: &&str| *section != "stream" && !OF_THE_PROCESS.contains(section);
    let sections: Vec<&str> = SECTIONS.iter().map(|(section, _)| *section).filter(is_own).collect();
    let nearest = nearest(name, sections.iter().map(|section| (*section, *section))).unwrap_or_default();
    unknown_near("section", &format!("{STREAMS}.{stream}.{name}"), &format!("{STREAMS}.{stream}.{nearest}"))
        .with_hint(format!("the sections of a stream are {}", sections.join(", ")))
}
