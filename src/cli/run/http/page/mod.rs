//! The page: one document that shows `/stats.json`.

mod document;

pub(super) use document::{ICON, page, policy};
