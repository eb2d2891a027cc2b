//! Rows to PostgreSQL's binary arrays, one a column, written straight into the message: no allocation for a value.
//!
//! The format is the input of `array_recv` (src/backend/utils/adt/arrayfuncs.c) around each type's own `recv` function.

use std::error::Error as StdError;
use std::fmt;

use bytes::{BufMut, BytesMut};
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::rows::Role;
use crate::rows::batch::{Rows, Value};
use crate::rows::coalesce::Coalesced;

/// PostgreSQL's epoch is 2000-01-01; these are its distances from 1970-01-01.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const EPOCH_DAYS: i32 = 10_957;

/// One column of the rows to write.
pub(super) struct ColumnArray<'a> {
    rows: &'a Rows,
    coalesced: &'a [Coalesced],
    column: usize,
}

impl<'a> ColumnArray<'a> {
    fn new(rows: &'a Rows, coalesced: &'a [Coalesced], column: usize) -> Self {
        Self { rows, coalesced, column }
    }

    fn values(&self) -> impl ExactSizeIterator<Item = Value> {
        let from_last = self.rows.plan.columns[self.column].role == Role::Updated;
        self.coalesced.iter().map(move |coalesced| {
            let row = if from_last { coalesced.last } else { coalesced.first };
            self.rows.value(row as usize, self.column)
        })
    }
}

/// The arrays of a batch, one a column.
pub(super) fn arrays<'a>(rows: &'a Rows, coalesced: &'a [Coalesced]) -> Vec<ColumnArray<'a>> {
    (0..rows.plan.width).map(|column| ColumnArray::new(rows, coalesced, column)).collect()
}

/// Encodes the arrays of a batch and drops them; returns their size in bytes.
#[cfg(feature = "_bench")]
pub(crate) fn encode(rows: &Rows, coalesced: &[Coalesced]) -> crate::error::Result<usize> {
    use crate::error::{Error, ErrorKind};
    let mut out = BytesMut::new();
    for (array, column) in arrays(rows, coalesced).iter().zip(rows.plan.row_columns()) {
        let encoded = array.to_sql(&super::statement::array_type(&column.column_type), &mut out);
        encoded.map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
    }
    Ok(out.len())
}

/// Shows no values: the `postgres` crate logs parameters by `Debug` at level debug.
impl fmt::Debug for ColumnArray<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.coalesced.len())
    }
}

impl ToSql for ColumnArray<'_> {
    fn to_sql(&self, array: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        put_array(self.rows, self.values(), array, out)
    }

    fn accepts(ty: &Type) -> bool {
        is_array(ty)
    }

    to_sql_checked!();
}

/// Writes the values as an array of this type.
pub(super) fn put_array(
    rows: &Rows,
    values: impl ExactSizeIterator<Item = Value>,
    array: &Type,
    out: &mut BytesMut,
) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
    let element = element_type(array).ok_or(WrongType)?;
    let len = i32::try_from(values.len())?;
    // The number of dimensions (none for an empty array), whether nulls may follow, the elements' type.
    out.put_i32(i32::from(len > 0));
    out.put_i32(1);
    out.put_u32(element.oid());
    if len > 0 {
        out.put_i32(len);
        // The index of the first element.
        out.put_i32(1);
    }
    for value in values {
        put(rows, value, &element, out)?;
    }
    Ok(IsNull::No)
}

pub(super) fn is_array(ty: &Type) -> bool {
    element_type(ty).is_some()
}

fn element_type(array: &Type) -> Option<Type> {
    match array.kind() {
        postgres::types::Kind::Array(element) => Some(element.clone()),
        _ => None,
    }
}

/// A value is not of its column's type: a bug in the mapping. The error shows neither.
#[derive(Debug)]
struct WrongType;

impl fmt::Display for WrongType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value does not have its column's type")
    }
}

impl StdError for WrongType {}

/// Writes length and bytes of one element; the length of a null is -1.
fn put(rows: &Rows, value: Value, element: &Type, out: &mut BytesMut) -> Result<(), Box<dyn StdError + Sync + Send>> {
    match (value, element) {
        (Value::Null, _) => out.put_i32(-1),
        (Value::Text { .. }, &Type::TEXT) => {
            let text = rows.text_of(value);
            out.put_i32(i32::try_from(text.len())?);
            out.put_slice(text.as_bytes());
        }
        (Value::Int(int), &Type::INT2) => {
            out.put_i32(2);
            out.put_i16(i16::try_from(int)?);
        }
        (Value::Int(int), &Type::INT4) => {
            out.put_i32(4);
            out.put_i32(i32::try_from(int)?);
        }
        (Value::Int(int), &Type::INT8) => {
            out.put_i32(8);
            out.put_i64(int);
        }
        (Value::Float(float), &Type::FLOAT4) => {
            out.put_i32(4);
            #[expect(clippy::cast_possible_truncation, reason = "the column has no more precision")]
            out.put_f32(float as f32);
        }
        (Value::Float(float), &Type::FLOAT8) => {
            out.put_i32(8);
            out.put_f64(float);
        }
        (Value::Bool(bool), &Type::BOOL) => {
            out.put_i32(1);
            out.put_u8(bool.into());
        }
        (Value::Micros(micros), &(Type::TIMESTAMPTZ | Type::TIMESTAMP)) => {
            out.put_i32(8);
            out.put_i64(micros.checked_sub(EPOCH_MICROS).ok_or(WrongType)?);
        }
        (Value::Days(days), &Type::DATE) => {
            out.put_i32(4);
            out.put_i32(days.checked_sub(EPOCH_DAYS).ok_or(WrongType)?);
        }
        _ => return Err(WrongType.into()),
    }
    Ok(())
}
