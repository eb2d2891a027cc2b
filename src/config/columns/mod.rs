//! `mapping.columns` and lists of columns: from TOML, from one line of text, and back to text.
//!
//! The text form is `a=/x, b=now` and `a, b`. A name with a separator in it, or a source that is more than one word, is written as an
//! inline TOML table or array, `{"a,b" = "/x", c = ["/y", "/z"]}` and `["a,b"]`. The text form accepts these too, so every value that
//! is shown can be read back.

mod list;
mod mapping_source;
mod names;
mod source_toml;
mod toml_text;

pub(super) use list::{check_columns, columns_from_text, columns_from_toml, show_columns};
pub use mapping_source::{FromEvent, MappingSource, ValueFormat};
pub(super) use names::{check_names, names_from_text, names_from_toml, show_names};
pub(super) use toml_text::{array, in_order, inline, is_plain, pairs, quoted};
