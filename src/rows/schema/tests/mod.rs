//! Tests of whole schemas.

mod budget;
pub(super) mod load;
mod loosen;
pub(super) mod suite;
mod validate;
