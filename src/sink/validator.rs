//! Checking events against the schema alone.

use crate::config::Config;
use crate::error::Result;
use crate::rows::schema::Schema;

/// Checks events against the configured schema, without a sink, a spool or a network.
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
pub struct Validator(Schema);

impl Validator {
    /// Compiles the schema.
    ///
    /// # Errors
    /// `CONFIG` for a schema that cannot be used.
    pub fn new(config: &Config) -> Result<Self> {
        Schema::load(&config.schema, config.stream.event_bytes_max).map(Self)
    }

    /// Checks one event.
    ///
    /// # Errors
    /// `JSON` or `SCHEMA`, with every violation.
    pub fn validate(&self, event: &[u8]) -> Result<()> {
        self.0.parse(event).map(drop)
    }
}

/// Checks one event. For more than one, [`Validator`] compiles the schema only once.
///
/// # Errors
/// `JSON` or `SCHEMA`, with every violation; `CONFIG` for a schema that cannot be used.
pub fn validate(config: &Config, event: &[u8]) -> Result<()> {
    Validator::new(config)?.validate(event)
}
