//! What a running sink takes from a new configuration.

use crate::config::Config;
use crate::error::Result;
use crate::rows::schema::Schema;
use crate::sink::Sink;

impl Sink {
    /// Validates by this schema from now on.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for a schema that cannot be used; the one before applies on.
    pub(crate) fn reload_schema(&self, config: &Config) -> Result<()> {
        self.0.engine.rules.replace_schema(Schema::load(&config.schema, config.stream.event_bytes_max)?);
        Ok(())
    }
}
