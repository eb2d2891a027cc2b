//! Groups of dead letters, in bounded memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;

use serde_json::Value as Json;

use crate::report::dead_letter::{DeadLetter, Stage};
use crate::report::summary::SummaryGroup;

/// The most groups: events whose differences have no pattern, such as members named after customers, must not fill the memory.
pub(super) const GROUPS_MAX: usize = 1000;

/// One thing that is wrong with a dead letter.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) stage: Stage,
    pub(super) pointer: Option<String>,
    pub(super) keyword: Option<String>,
    pub(super) reason: String,
    /// The place in the schema, and what differs there.
    pub(super) place: String,
    pub(super) detail: String,
    pub(super) advice: String,
    pub(super) patch: Vec<Json>,
    pub(super) limit: Option<u64>,
}

/// What the dead letters of a group have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    stage: Stage,
    pointer: Option<String>,
    /// Of a finding of the schema, what identifies it is the place there, not the reason, which may have a number.
    reason: Option<String>,
    place: String,
    detail: String,
    sqlstate: Option<String>,
    constraint: Option<String>,
    column: Option<String>,
}

#[derive(Debug)]
struct Group {
    summary: SummaryGroup,
    last_offset: u64,
    patch: Vec<Json>,
    limit: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: HashMap<Key, Group>,
    ungrouped: u64,
}

impl Groups {
    /// Counts a dead letter in the group of each of its entries, in each once.
    pub(super) fn add(&mut self, letter: &DeadLetter, entries: Vec<Entry>) {
        let mut has_no_room = false;
        for entry in entries {
            let key = Key {
                stage: entry.stage,
                pointer: entry.pointer.clone(),
                reason: entry.place.is_empty().then(|| entry.reason.clone()),
                place: entry.place.clone(),
                detail: entry.detail.clone(),
                sqlstate: letter.sqlstate.clone(),
                constraint: letter.constraint.clone(),
                column: letter.column.clone(),
            };
            let is_full = self.groups.len() >= GROUPS_MAX;
            match self.groups.entry(key) {
                Place::Occupied(mut group) => group.get_mut().count(letter, &entry),
                Place::Vacant(_) if is_full => has_no_room = true,
                Place::Vacant(place) => drop(place.insert(Group::new(letter, entry))),
            }
        }
        self.ungrouped += u64::from(has_no_room);
    }

    /// The groups, the largest first, and the number of dead letters that had no room.
    pub(super) fn finish(self) -> (Vec<SummaryGroup>, u64) {
        let mut groups: Vec<_> = self.groups.into_values().map(Group::finish).collect();
        groups.sort_by(|a, b| {
            let order = |group: &SummaryGroup| (std::cmp::Reverse(group.dead_letters), group.first_offset);
            order(a).cmp(&order(b)).then_with(|| (&a.pointer, &a.reason).cmp(&(&b.pointer, &b.reason)))
        });
        (groups, self.ungrouped)
    }
}

impl Group {
    fn new(letter: &DeadLetter, entry: Entry) -> Self {
        let summary = SummaryGroup {
            stage: entry.stage,
            pointer: entry.pointer,
            keyword: entry.keyword,
            reason: entry.reason,
            sqlstate: letter.sqlstate.clone(),
            constraint: letter.constraint.clone(),
            column: letter.column.clone(),
            dead_letters: 1,
            first_offset: letter.offset,
            first_at: letter.rejected_at,
            last_at: letter.rejected_at,
            advice: entry.advice,
            patch: Vec::new(),
        };
        Self { summary, last_offset: letter.offset, patch: entry.patch, limit: entry.limit }
    }

    fn count(&mut self, letter: &DeadLetter, entry: &Entry) {
        self.summary.dead_letters += u64::from(self.last_offset != letter.offset);
        self.last_offset = letter.offset;
        self.summary.first_at = self.summary.first_at.min(letter.rejected_at);
        self.summary.last_at = self.summary.last_at.max(letter.rejected_at);
        if let (Some(known), Some(other)) = (self.limit, entry.limit) {
            let is_minimum = entry.place.rsplit('/').next().is_some_and(|keyword| keyword.starts_with("min"));
            if if is_minimum { other < known } else { other > known } {
                self.limit = Some(other);
                self.patch.clone_from(&entry.patch);
                self.summary.advice.clone_from(&entry.advice);
            }
        }
    }

    fn finish(self) -> SummaryGroup {
        SummaryGroup { patch: self.patch.iter().map(ToString::to_string).collect(), ..self.summary }
    }
}
