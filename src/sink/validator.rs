//! Validation of events against the schema.

use crate::config::Config;
use crate::error::Result;
use crate::pipeline::event_rules::EventRules;
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
pub struct Validator(EventRules);

impl Validator {
    /// Compiles the schema, and reads the keys of `[[redact]]`.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for a schema or a key that cannot be used.
    pub fn new(config: &Config) -> Result<Self> {
        EventRules::from_config(config).map(Self)
    }

    /// `None` if nothing is redacted.
    #[cfg(feature = "cli")]
    pub(crate) fn redactor(&self) -> Option<&Redactor> {
        self.0.redactor.as_deref()
    }

    /// Validates one event, as a sink would: redacted.
    ///
    /// # Errors
    /// [`Json`](crate::ErrorKind::Json) or [`Schema`](crate::ErrorKind::Schema), with every violation.
    pub fn validate(&self, event: &[u8]) -> Result<()> {
        let event = self.0.storable(event, || false)?;
        self.0.schema.parse(&event).map(drop)
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
