//! Values that several sinks share, without anything that is global: who makes the sinks hands them the same store.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex};

use crate::threads::sync;

/// One value of each type. Its clones are the same store.
#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Vec<Arc<dyn Any + Send + Sync>>>>);

impl Shared {
    /// The value of this type, which the first call makes.
    pub(crate) fn get<T: Any + Send + Sync + Default>(&self) -> Arc<T> {
        let mut values = sync::lock(&self.0);
        let found = values.iter().find_map(|value| Arc::clone(value).downcast::<T>().ok());
        found.unwrap_or_else(|| {
            let made = Arc::<T>::default();
            values.push(Arc::<T>::clone(&made));
            made
        })
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_have_the_same_value_of_each_type_and_another_store_has_its_own() {
        let store = Shared::default();
        *store.get::<Mutex<u32>>().lock().unwrap() = 7;
        *store.get::<Mutex<String>>().lock().unwrap() = "seven".into();
        assert_eq!(*store.clone().get::<Mutex<u32>>().lock().unwrap(), 7);
        assert_eq!(*store.get::<Mutex<String>>().lock().unwrap(), "seven");
        assert_eq!(*Shared::default().get::<Mutex<u32>>().lock().unwrap(), 0);
    }
}
