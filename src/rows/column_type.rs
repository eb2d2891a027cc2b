//! The types of columns.

use std::sync::Arc;

/// The types of columns, with PostgreSQL's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ColumnType {
    /// `text`, `varchar`, `varchar(n)`: at most `chars_max` characters.
    Text {
        chars_max: Option<u32>,
    },
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    /// `numeric` or `numeric(precision, scale)`.
    Numeric {
        precision_scale: Option<(u32, i32)>,
    },
    Bool,
    TimestampTz,
    Timestamp,
    Date,
    Uuid,
    Json,
    Jsonb,
    /// Every other type.
    Other(Arc<OtherType>),
}

impl ColumnType {
    pub(crate) fn is_pairs(&self) -> bool {
        matches!(self, Self::Other(other) if other.form == TextForm::Pairs)
    }
}

/// A type whose values travel to the database as text, in the form that the type's own input function reads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OtherType {
    /// Its name in SQL, quoted and with its schema, without a length or precision: the column has it, and refuses what does not fit,
    /// where a cast would cut it off.
    pub(crate) sql_name: String,
    pub(crate) form: TextForm,
}

/// The text of a value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TextForm {
    /// The text of the JSON value as it is. Only the database knows what fits.
    Any,
    /// One of the labels of an enum.
    Label(Vec<String>),
    /// The text of an `hstore`.
    Pairs,
    /// base64 in JSON, hexadecimal digits behind `\x` in the row.
    Bytes,
    /// The elements of a JSON array, or the text of a whole one.
    Array { element: ColumnType, delimiter: char },
}

impl OtherType {
    /// Whether the database may refuse a value that fits as far as it is known here, or take two texts for one value.
    pub(crate) fn may_be_refused(&self) -> bool {
        matches!(self.form, TextForm::Any | TextForm::Pairs | TextForm::Array { .. })
    }
}
