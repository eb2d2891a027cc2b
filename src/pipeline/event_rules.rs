//! What the configuration says about an event, ready for use: how it is unwrapped, redacted and validated.

use std::borrow::Cow;
use std::sync::Arc;

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Burst, Event};
use crate::rows::CurrentSchema;
use crate::rows::schema::Schema;
use crate::source::redact::{Redacted, Redactor};
use crate::source::unwrap::{Reason, Unwrapper};

/// See the [module documentation](self). A clone shares the parts.
#[derive(Debug, Clone)]
pub(crate) struct EventRules {
    /// The schema as it was when this was made or refreshed.
    pub(crate) schema: Arc<Schema>,
    current: Arc<CurrentSchema>,
    /// `None` if a message is one event.
    unwrapper: Option<Arc<Unwrapper>>,
    /// `None` if nothing is redacted.
    pub(crate) redactor: Option<Arc<Redactor>>,
}

impl EventRules {
    /// # Errors
    /// `Config`: the schema, or a key of a redaction, cannot be used.
    pub(crate) fn from_config(config: &Config) -> Result<Self> {
        let schema = Arc::new(Schema::load(&config.of_one_stream()?.schema, config.stream.event_bytes_max)?);
        Ok(Self {
            current: CurrentSchema::new(&schema),
            schema,
            unwrapper: Unwrapper::new(&config.event)?.map(Arc::new),
            redactor: Redactor::new(config)?.map(Arc::new),
        })
    }

    /// Takes the schema that applies now: once for a batch or a call, not for each event.
    pub(crate) fn refresh(&mut self) {
        self.schema = self.current.get();
    }

    /// The rules as they apply now.
    pub(crate) fn now(&self) -> Self {
        Self { schema: self.current.get(), ..self.clone() }
    }

    /// Every clone validates by this schema from its next refresh on.
    #[cfg(feature = "cli")]
    pub(crate) fn replace_schema(&self, schema: Schema) {
        self.current.replace(schema);
    }

    /// The event as it may be stored: redacted, unless `is_redacted` says that it is.
    ///
    /// # Errors
    /// `Json`: it cannot be redacted, so it may not be stored.
    pub(crate) fn storable<'e>(&self, event: &'e [u8], is_redacted: impl FnOnce() -> bool) -> Result<Cow<'e, [u8]>> {
        let Some(redactor) = self.redactor.as_ref().filter(|_| !is_redacted()) else { return Ok(event.into()) };
        match redactor.redact(event) {
            Redacted::Event(Cow::Borrowed(text)) => Ok(text.as_bytes().into()),
            Redacted::Event(Cow::Owned(text)) => Ok(text.into_bytes().into()),
            Redacted::Fingerprint(fingerprint) => Err(Error::new(ErrorKind::Json, fingerprint.problem())),
        }
    }

    /// Appends an event, or a message that could not be unwrapped, as it may be stored.
    pub(crate) fn push(&self, event: Event<'_>, into: &mut Burst) {
        match &self.redactor {
            Some(redactor) => redactor.push(event, into),
            None => into.push_event(event),
        }
    }

    /// Why this message was spooled whole, by the current settings.
    pub(crate) fn reason_of_message(&self, message: &[u8]) -> Reason {
        Unwrapper::reason_of(self.unwrapper.as_deref(), message)
    }

    /// Appends the events of a message that could not be unwrapped once, as they may be stored.
    ///
    /// # Errors
    /// The reason why it cannot be unwrapped now either.
    pub(crate) fn unwrap_again(&self, message: &[u8], into: &mut Burst) -> std::result::Result<(), Reason> {
        let mut events = Burst::default();
        match &self.unwrapper {
            Some(unwrapper) => unwrapper.unwrap_again(message, &mut events).map(drop)?,
            None => events.push(message),
        }
        events.marked().for_each(|event| self.push(event, into));
        Ok(())
    }
}
