//! Tests of whole schemas.

mod budget;
pub(super) mod load;
mod loosen;
mod suite;
mod validate;
