//! The schema that applies now: it can be replaced while events are prepared.

use std::sync::{Arc, Mutex};

use crate::rows::schema::Schema;
use crate::threads::sync;

/// Shared by those who validate.
#[derive(Debug)]
pub(crate) struct CurrentSchema(Mutex<Arc<Schema>>);

impl CurrentSchema {
    pub(crate) fn new(schema: &Arc<Schema>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Arc::clone(schema))))
    }

    pub(crate) fn get(&self) -> Arc<Schema> {
        Arc::clone(&sync::lock(&self.0))
    }

    #[cfg(feature = "cli")]
    pub(crate) fn replace(&self, schema: Schema) {
        *sync::lock(&self.0) = Arc::new(schema);
    }
}
