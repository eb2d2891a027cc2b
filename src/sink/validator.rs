//! Validation of events against the schema, and against the columns of the table.

use std::sync::Arc;

use crate::config::Config;
use crate::error::Result;
use crate::pipeline::event_rules::EventRules;
use crate::rows::batch::Rows;
use crate::rows::{Arrival, Plan, map_event};
use crate::sink::table_now;
#[cfg(feature = "cli")]
use crate::source::redact::Redactor;

/// Validates events against the configured schema, without sink, spool or network.
///
/// ```
/// let validator = cxsink::Validator::new(&cxsink::Config::default())?;
/// let event = br#"{"interactionId":"i-1","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"k-1"}"#;
/// assert!(validator.validate(event).is_ok());
/// let error = validator.validate(br#"{"type":"fax"}"#).unwrap_err();
/// assert_eq!(error.violations().len(), 4);
/// # Ok::<(), cxsink::Error>(())
/// ```
#[derive(Debug)]
pub struct Validator {
    rules: EventRules,
    /// `None`: the schema decides alone.
    plan: Option<Arc<Plan>>,
}

impl Validator {
    /// Compiles the schema, and reads the keys of `[[redact]]`.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for a schema or a key that cannot be used.
    pub fn new(config: &Config) -> Result<Self> {
        Ok(Self { rules: EventRules::from_config(config)?, plan: None })
    }

    /// Compiles the schema, and reads the columns of the table `destination.table`, which each event must fit too.
    ///
    /// It connects to the destination once, and writes nothing. Later changes of the table are not seen. The database alone judges some
    /// values, such as those of the type `inet`, and constraints: these are not tried.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for a bad configuration or schema, or a mapping that does not fit the table;
    /// [`Database`](crate::ErrorKind::Database) or [`Connect`](crate::ErrorKind::Connect) as for [`Sink::start`](crate::Sink::start).
    pub fn for_table(config: &Config) -> Result<Self> {
        config.validate()?;
        let validator = Self::new(config)?;
        Ok(Self { plan: Some(table_now::plan(config)?), ..validator })
    }

    /// `None` if nothing is redacted.
    #[cfg(feature = "cli")]
    pub(crate) fn redactor(&self) -> Option<&Redactor> {
        self.rules.redactor.as_deref()
    }

    /// Validates one event, as a sink would: redacted.
    ///
    /// # Errors
    /// [`Json`](crate::ErrorKind::Json) or [`Schema`](crate::ErrorKind::Schema), with every violation; of a validator for a table also
    /// [`Unmapped`](crate::ErrorKind::Unmapped), with a violation for each column whose value does not fit.
    pub fn validate(&self, event: &[u8]) -> Result<()> {
        let event = self.rules.storable(event, || false)?;
        let event = self.rules.schema.parse(&event)?;
        match &self.plan {
            Some(plan) => map_event(&event, Arrival { offset: 0, received_at: 0 }, &mut Rows::new(Arc::clone(plan))),
            None => Ok(()),
        }
    }
}

/// Validates one event. For many, use a [`Validator`], which compiles the schema only once.
///
/// # Errors
/// [`Json`](crate::ErrorKind::Json) or [`Schema`](crate::ErrorKind::Schema), with every violation; [`Config`](crate::ErrorKind::Config)
/// for a schema that cannot be used.
pub fn validate(config: &Config, event: &[u8]) -> Result<()> {
    Validator::new(config)?.validate(event)
}
