//! Why an event violates the schema.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value as Json;

use crate::error::Error;
use crate::rows::event::ParsedEvent;
use crate::rows::schema::drift::change::{Change, changes};
use crate::rows::schema::validate::Schema;

/// What the schema says about an event now.
#[derive(Debug)]
pub(crate) enum Explanation {
    Accepted,
    Violations(Vec<Finding>),
    /// It is no JSON, or its check does not come to an end.
    Unexplained(Error),
}

/// One way in which an event violates the schema.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    /// The pointer to the value, with `*` for the place in an array.
    pub(crate) pointer: String,
    pub(crate) keyword: String,
    pub(crate) message: String,
    /// The change of the schema that would accept it.
    pub(crate) change: Change,
}

impl Schema {
    /// Explains an event. `shows_values`: whether changes may contain values of the event, where they need one.
    pub(crate) fn explain(&self, event: &[u8], shows_values: bool) -> Explanation {
        let Err(error) = self.parse(event) else { return Explanation::Accepted };
        let is_counted = error.violations().iter().all(|violation| violation.keyword != "budget");
        let text = std::str::from_utf8(event).ok().filter(|_| is_counted && !error.violations().is_empty());
        let Some(parsed) = text.and_then(|text| ParsedEvent::parse(text).ok()) else {
            return Explanation::Unexplained(error);
        };
        // A panic of the library concerns this event alone.
        let findings = catch_unwind(AssertUnwindSafe(|| self.findings(&parsed.json, event.len(), shows_values)));
        findings.map_or(Explanation::Unexplained(error), Explanation::Violations)
    }

    fn findings(&self, event: &Json, event_bytes: usize, shows_values: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.for_each_violation(event, event_bytes, |violation, error| {
            let value = event.pointer(error.instance_path().as_str()).unwrap_or(&Json::Null);
            let pointer = general(error.instance_path().as_str(), event);
            for change in changes(error, value, self, shows_values) {
                let message = change.message.clone().unwrap_or_else(|| violation.message.clone());
                let keyword = violation.keyword.clone();
                findings.push(Finding { pointer: pointer.clone(), keyword, message, change });
            }
        });
        findings
    }
}

/// The pointer with `*` for each place in an array: the items of an array differ from the schema in the same way.
fn general(pointer: &str, event: &Json) -> String {
    let mut value = event;
    let mut general = String::new();
    for token in pointer.split('/').skip(1) {
        let is_item = value.is_array();
        value = value.pointer(&format!("/{token}")).unwrap_or(&Json::Null);
        general.push('/');
        general.push_str(if is_item { "*" } else { token });
    }
    general
}
