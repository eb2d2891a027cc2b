//! Validation of events against the schema.

use crate::config::Config;
use crate::error::Result;
use crate::rows::schema::Schema;

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
pub struct Validator(Schema);

impl Validator {
    /// Compiles the schema.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for a schema that cannot be used.
    pub fn new(config: &Config) -> Result<Self> {
        Schema::load(&config.schema, config.stream.event_bytes_max).map(Self)
    }

    /// Validates one event.
    ///
    /// # Errors
    /// [`Json`](crate::ErrorKind::Json) or [`Schema`](crate::ErrorKind::Schema), with every violation.
    pub fn validate(&self, event: &[u8]) -> Result<()> {
        self.0.parse(event).map(drop)
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
