//! Which of the values at one place a column does not accept.

use crate::config::ValueFormat;
use crate::rows::allows::Values;
use crate::rows::{ColumnType, Reading, TextForm};

/// The assumed length of a text without a limit: that of the columns of CXone's own table for these events.
const CHARS_WITHOUT_LIMIT: u64 = 255;

/// The labels of an enum that are shown.
const LABELS_SHOWN: usize = 10;

/// Values that are allowed and not taken.
pub(super) struct Excess {
    /// What the place may have: `may have 300 characters`.
    pub(super) allowed: String,
    /// What the column takes: `255 characters`.
    pub(super) taken: String,
}

/// The values that the schema allows and a column does not accept, which reads them in this way.
pub(super) fn excess(column: &ColumnType, reading: Reading, values: &Values) -> Option<Excess> {
    let excess = |(allowed, taken)| Excess { allowed, taken };
    match reading.format {
        Some(format @ (ValueFormat::EpochS | ValueFormat::EpochMs | ValueFormat::EpochUs)) => {
            return (!is_number(values))
                .then(|| excess(("is not a number".into(), format!("times as numbers ({})", format.as_str()))));
        }
        Some(format @ (ValueFormat::Base64 | ValueFormat::Hex)) => return not_bytes(format, values).map(excess),
        None => {}
    }
    match column {
        ColumnType::Text { chars_max: Some(most) } if !reading.truncate => too_long(*most, values),
        ColumnType::Int2
        | ColumnType::Int4
        | ColumnType::Int8
        | ColumnType::Float4
        | ColumnType::Float8
        | ColumnType::Numeric { .. } => not_in_range(column, values),
        ColumnType::Bool => {
            (!values.may_be("boolean")).then(|| ("is neither true nor false".into(), "true or false".into()))
        }
        ColumnType::TimestampTz => (!values.has_format(&["date-time"]))
            .then(|| ("is not always a time (format date-time)".into(), "times".into())),
        ColumnType::Timestamp | ColumnType::Date => (!values.has_format(&["date-time", "date"])).then(|| {
            let taken = if *column == ColumnType::Date { "dates" } else { "times" };
            ("is not always a time or a date (format date-time or date)".into(), taken.into())
        }),
        ColumnType::Uuid => {
            (!values.has_format(&["uuid"])).then(|| ("is not always a UUID (format uuid)".into(), "UUIDs".into()))
        }
        ColumnType::Other(other) => match &other.form {
            TextForm::Label(labels) => no_label(labels, reading.trim, values),
            TextForm::Bytes => not_bytes(ValueFormat::Base64, values),
            TextForm::Pairs => is_no_text(values).map(|allowed| (allowed, "the text of an hstore".into())),
            TextForm::Array { .. } => (!values.may_be("array") && !values.may_be("string"))
                .then(|| ("is not an array".into(), "arrays".into())),
            TextForm::Any => None,
        },
        ColumnType::Text { .. } | ColumnType::Json | ColumnType::Jsonb => None,
    }
    .map(excess)
}

type Found = Option<(String, String)>;

fn is_number(values: &Values) -> bool {
    values.may_be("number") || values.may_be("integer")
}

fn is_no_text(values: &Values) -> Option<String> {
    (!values.may_be("string")).then(|| "is not a text".into())
}

fn too_long(most: u32, values: &Values) -> Found {
    let longest = values.chars_max.unwrap_or(CHARS_WITHOUT_LIMIT);
    (values.may_be("string") && longest > u64::from(most)).then(|| {
        let allowed = match values.chars_max {
            Some(longest) => format!("may have {longest} characters"),
            None => "may have any length".into(),
        };
        (allowed, format!("{most} characters"))
    })
}

fn not_in_range(column: &ColumnType, values: &Values) -> Found {
    let most = largest(column);
    let taken = || most.map_or_else(|| "numbers".into(), |most| format!("numbers up to {most}"));
    if !is_number(values) {
        return Some(("is not a number".into(), taken()));
    }
    let allowed = match values.magnitude_max {
        Some(magnitude) if magnitude > most? => format!("may be as large as {magnitude}"),
        None if *column == ColumnType::Int2 => "may be any number".into(),
        _ => return None,
    };
    Some((allowed, taken()))
}

fn largest(column: &ColumnType) -> Option<f64> {
    match column {
        ColumnType::Int2 => Some(f64::from(i16::MAX)),
        ColumnType::Int4 => Some(f64::from(i32::MAX)),
        ColumnType::Int8 => Some(9_223_372_036_854_775_807.0),
        ColumnType::Numeric { precision_scale: Some((precision, scale)) } => {
            Some(10_f64.powi(i32::try_from(*precision).ok()?.saturating_sub(*scale)) - 1.0)
        }
        _ => None,
    }
}

/// Any value may be a label, by its text. Of others than texts nothing is said without a list of them.
fn no_label(labels: &[String], is_trimmed: bool, values: &Values) -> Found {
    let allowed = match &values.texts {
        Some(texts) => {
            let read = |text: &str| if is_trimmed { text.trim().to_owned() } else { text.to_owned() };
            let other = texts.iter().find(|text| !labels.contains(&read(text)))?;
            format!("may be {other:?}")
        }
        None if values.may_be("string") => "may be any text".into(),
        None => return None,
    };
    let shown = labels[..labels.len().min(LABELS_SHOWN)].join(", ");
    let taken = if labels.len() > LABELS_SHOWN { format!("{shown} … ({} labels)", labels.len()) } else { shown };
    Some((allowed, taken))
}

fn not_bytes(format: ValueFormat, values: &Values) -> Found {
    is_no_text(values).map(|allowed| (allowed, format!("bytes in {}", format.as_str())))
}
