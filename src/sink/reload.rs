//! What a running sink takes from a new configuration.

use crate::config::Config;
use crate::error::Result;
use crate::rows::schema::Schema;
use crate::sink::Sink;

impl Sink {
    /// The schema of this configuration, for [`replace_schema`](Self::replace_schema).
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for a schema that cannot be used.
    pub(crate) fn load_schema(config: &Config) -> Result<Schema> {
        Schema::load(&config.schema, config.stream.event_bytes_max)
    }

    /// Validates by this schema from now on.
    pub(crate) fn replace_schema(&self, schema: Schema) {
        self.0.engine.rules.replace_schema(schema);
    }
}
