//! Tests of whole schemas.

mod budget;
mod load;
mod loosen;
mod suite;
mod validate;
