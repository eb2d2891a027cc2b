//! Redaction compared with the same on a tree.

mod places;
mod properties;
