//! One value.

/// One value of a row, valid for its column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// int2, int4, int8
    Int(i64),
    /// float4, float8
    Float(f64),
    /// timestamptz and timestamp: microseconds since 1970-01-01 (UTC, or local for `timestamp`)
    Micros(i64),
    /// date: days since 1970-01-01
    Days(i32),
    /// text, varchar, numeric, uuid, json, jsonb: a slice of the text of all rows
    Text {
        start: u32,
        len: u32,
    },
}
