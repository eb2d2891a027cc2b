//! Date-times: read as PostgreSQL reads them, and written as RFC 3339.
//!
//! The parser accepts RFC 3339 with the liberties of PostgreSQL and of common validators: a space or a tab for the `T`, an offset
//! as `+0000` or `+00`. It rounds fractions of a second to microseconds like PostgreSQL's text input (to nearest, ties to even, on
//! the double-precision value), so the table shows the same time as if PostgreSQL had read the text. Date libraries truncate, so
//! only the calendar is a library's.

use chrono::{Datelike as _, NaiveDate};

/// A parsed date-time, before the checks of a column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DateTime {
    date: NaiveDate,
    /// Microseconds since midnight, in local time. Second 60 belongs to the next minute.
    micros_of_day: i64,
    /// East of UTC, in minutes. `None` for a date alone.
    offset_minutes: Option<i32>,
}

/// PostgreSQL refuses an offset of 16 hours or more (`MAX_TZDISP_HOUR` in its datetime.h).
const OFFSET_MINUTES_MAX: i32 = 15 * 60 + 59;
const MICROS_PER_DAY: i64 = 86_400_000_000;

impl DateTime {
    /// Reads a date-time; `None` if it is not one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (date, rest) = bytes.split_at_checked(10)?;
        let mut parsed = Self::from_date(date)?;
        let (&[separator, ref clock @ ..], rest) = rest.split_at_checked(9)? else { return None };
        if !matches!(separator, b'T' | b't' | b' ' | b'\t') || clock[2] != b':' || clock[5] != b':' {
            return None;
        }
        let hour = number(&clock[..2])?;
        let minute = number(&clock[3..5])?;
        let second = number(&clock[6..8])?;
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let (fraction, rest) = split_fraction(rest)?;
        let offset = offset_minutes(rest)?;
        if second == 60 {
            // A leap second occurs only at the end of a UTC day (RFC 3339 section 5.7).
            let utc_minute = (hour * 60 + minute - offset).rem_euclid(24 * 60);
            if utc_minute != 24 * 60 - 1 {
                return None;
            }
        }
        parsed.micros_of_day = i64::from(hour * 3600 + minute * 60 + second) * 1_000_000 + fraction;
        parsed.offset_minutes = Some(offset);
        Some(parsed)
    }

    /// Reads a date-time or a date alone.
    pub(crate) fn parse_date(text: &str) -> Option<Self> {
        if text.len() == 10 { Self::from_date(text.as_bytes()) } else { Self::parse(text) }
    }

    fn from_date(date: &[u8]) -> Option<Self> {
        if date[4] != b'-' || date[7] != b'-' {
            return None;
        }
        let (month, day) = (number(&date[5..7])?, number(&date[8..])?);
        let date = NaiveDate::from_ymd_opt(number(&date[..4])?, month.try_into().ok()?, day.try_into().ok()?)?;
        Some(Self { date, micros_of_day: 0, offset_minutes: None })
    }

    /// Microseconds since 1970-01-01 UTC, for `timestamptz`.
    pub(crate) fn utc_micros(&self) -> Result<i64, &'static str> {
        let offset = self.offset_minutes.ok_or("has no time and no offset from UTC")?;
        if offset.abs() > OFFSET_MINUTES_MAX {
            return Err("has an offset from UTC of 16 hours or more, which PostgreSQL does not accept");
        }
        Ok(self.local_micros()? - i64::from(offset) * 60_000_000)
    }

    /// Microseconds since 1970-01-01 on the local clock, for `timestamp`, which ignores the offset.
    pub(crate) fn local_micros(&self) -> Result<i64, &'static str> {
        if self.micros_of_day > MICROS_PER_DAY {
            return Err("is a fraction of a leap second, which PostgreSQL does not accept");
        }
        Ok(i64::from(self.days()?) * MICROS_PER_DAY + self.micros_of_day)
    }

    /// Days since 1970-01-01 on the local calendar, for `date`, which ignores time and offset.
    pub(crate) fn days(&self) -> Result<i32, &'static str> {
        if self.date.year() == 0 {
            return Err("is in the year 0000, which PostgreSQL does not accept");
        }
        Ok(self.date.num_days_from_ce() - EPOCH_DAYS)
    }
}

/// The number of 1970-01-01 in chrono's count of days, which begins with 0001-01-01 as day 1.
const EPOCH_DAYS: i32 = 719_163;

/// The date of a day since 1970-01-01; a day beyond chrono's calendar becomes its last one.
fn date_of(days: i64) -> NaiveDate {
    let days = i32::try_from(days + i64::from(EPOCH_DAYS)).ok();
    days.and_then(NaiveDate::from_num_days_from_ce_opt).unwrap_or(NaiveDate::MAX)
}

/// Writes days since 1970-01-01 as `2025-01-31`.
pub(crate) fn format_days(days: i32) -> String {
    date_of(days.into()).to_string()
}

/// Writes microseconds since 1970-01-01 as `2025-01-31T12:00:00.000000`. There is room for a `Z`.
pub(crate) fn format_micros(micros: i64) -> String {
    let date = date_of(micros.div_euclid(MICROS_PER_DAY));
    let of_day = micros.rem_euclid(MICROS_PER_DAY).unsigned_abs();
    let (seconds, fraction) = (of_day / 1_000_000, of_day % 1_000_000);
    let mut text = *b"T00:00:00.000000";
    write_digits(
        &mut text,
        [(1, 2, seconds / 3600), (4, 2, seconds / 60 % 60), (7, 2, seconds % 60), (10, 6, fraction)],
    );
    let mut out = String::with_capacity("2025-01-31T12:00:00.000000Z".len());
    if (0..=9999).contains(&date.year()) {
        let mut text = *b"0000-00-00";
        let year = date.year().unsigned_abs().into();
        write_digits(&mut text, [(0, 4, year), (5, 2, date.month().into()), (8, 2, date.day().into())]);
        out.extend(text.map(char::from));
    } else {
        out.push_str(&date.to_string());
    }
    out.extend(text.map(char::from));
    out
}

/// Appends milliseconds since 1970-01-01 as `2026-01-01T00:00:00.000Z`, up to the year 9999. Allocates nothing: the simulator writes
/// one for each event.
#[cfg(feature = "simulator")]
pub(crate) fn push_millis(out: &mut Vec<u8>, millis: u64) {
    const MILLIS_PER_DAY: u64 = 86_400_000;
    let date = date_of(i64::try_from(millis / MILLIS_PER_DAY).unwrap_or(i64::MAX / 2));
    let of_day = millis % MILLIS_PER_DAY;
    let mut text = *b"0000-00-00T00:00:00.000Z";
    write_digits(
        &mut text,
        [
            (0, 4, date.year().unsigned_abs().into()),
            (5, 2, date.month().into()),
            (8, 2, date.day().into()),
            (11, 2, of_day / 3_600_000),
            (14, 2, of_day / 60_000 % 60),
            (17, 2, of_day / 1000 % 60),
            (20, 3, of_day % 1000),
        ],
    );
    out.extend_from_slice(&text);
}

/// Writes the last digits of numbers, each at its place and with its width.
fn write_digits<const N: usize>(text: &mut [u8], numbers: [(usize, usize, u64); N]) {
    for (at, digits, mut number) in numbers {
        for place in text[at..at + digits].iter_mut().rev() {
            *place = b"0123456789"[(number % 10) as usize];
            number /= 10;
        }
    }
}

/// A number of at most four decimal digits.
fn number(text: &[u8]) -> Option<i32> {
    text.iter().try_fold(0, |value, &byte| byte.is_ascii_digit().then(|| value * 10 + i32::from(byte - b'0')))
}

/// Splits `.ddd` off the front, in microseconds.
fn split_fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.', after_point)) = rest.split_first() else { return Some((0, rest)) };
    let count = after_point.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let text = std::str::from_utf8(&rest[..=count]).ok()?;
    let seconds: f64 = text.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "0 to 1,000,000")]
    let micros = (seconds * 1e6).round_ties_even() as i64;
    Some((micros, &after_point[count..]))
}

/// Minutes east of UTC of `Z`, `±hh:mm`, `±hhmm` or `±hh`.
fn offset_minutes(text: &[u8]) -> Option<i32> {
    let (sign, hours_minutes) = match text.split_first()? {
        (b'Z' | b'z', []) => return Some(0),
        (b'+', rest) => (1, rest),
        (b'-', rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match hours_minutes.len() {
        2 => (number(hours_minutes)?, 0),
        4 => (number(&hours_minutes[..2])?, number(&hours_minutes[2..])?),
        5 if hours_minutes[2] == b':' => (number(&hours_minutes[..2])?, number(&hours_minutes[3..])?),
        _ => return None,
    };
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_postgresql_reads_them() {
        let check = |text: &str, expected: Option<i64>| {
            let micros = DateTime::parse(text).and_then(|parsed| parsed.utc_micros().ok());
            assert_eq!(micros, expected, "{text}");
        };
        let noon = Some(1_735_732_800_000_000); // 2025-01-01 12:00:00 UTC
        check("2025-01-01T12:00:00Z", noon);
        check("2025-01-01t12:00:00z", noon);
        check("2025-01-01 12:00:00Z", noon);
        check("2025-01-01\t12:00:00Z", noon);
        check("2025-01-01T12:00:00+00:00", noon);
        check("2025-01-01T12:00:00+0000", noon);
        check("2025-01-01T12:00:00+00", noon);
        check("2025-01-01T14:30:00+02:30", noon);
        check("2024-12-31T20:01:00-15:59", noon);
        check("2025-01-01T12:00:00.123456789Z", noon.map(|n| n + 123_457));
        check("2025-01-01T12:00:00.9999999Z", noon.map(|n| n + 1_000_000));
        check("2016-12-31T23:59:60Z", Some(1_483_228_800_000_000));
        check("1970-01-01T00:00:00Z", Some(0));
        check("0001-01-01T00:00:00Z", Some(-62_135_596_800_000_000));
        check("9999-12-31T23:59:59.999999Z", Some(253_402_300_799_999_999));
        check("2024-02-29T00:00:00Z", Some(1_709_164_800_000_000));
        for refused in [
            "",
            "2025-01-01",
            "2025-01-01T12:00:00",
            "2025-01-01T12:00Z",
            "2025-13-01T12:00:00Z",
            "2025-02-29T12:00:00Z",
            "2025-01-01T24:00:00Z",
            "2025-01-01T12:00:60Z",
            "2016-12-31T23:59:60.5Z",
            "2025-01-01T12:00:00.Z",
            "2025-01-01T12:00:00+16:00",
            "2025-01-01T12:00:00+24:00",
            "2025-01-01T12:00:00+1:00",
            "0000-01-01T12:00:00Z",
            "2025-01-01T12:00:00Z ",
            "２025-01-01T12:00:00Z",
        ] {
            check(refused, None);
        }
    }

    #[test]
    fn a_formatted_time_reads_back() {
        for text in [
            "0001-01-01T00:00:00.000000",
            "1969-12-31T23:59:59.999999",
            "2000-02-29T12:34:56.789000",
            "2100-03-01T00:00:00.000001",
            "9999-12-31T23:59:59.999999",
        ] {
            let parsed = DateTime::parse(&format!("{text}Z")).unwrap();
            assert_eq!(format_micros(parsed.utc_micros().unwrap()), text);
        }
    }

    #[cfg(feature = "simulator")]
    #[test]
    fn milliseconds_are_written_as_rfc_3339() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_767_225_600_000, "2026-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_709_210_096_007, "2024-02-29T12:34:56.007Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            let mut out = Vec::new();
            push_millis(&mut out, millis);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn no_time_panics() {
        for micros in [i64::MIN, i64::MAX] {
            format_micros(micros);
        }
        for days in [i32::MIN, i32::MAX] {
            format_days(days);
        }
        #[cfg(feature = "simulator")]
        push_millis(&mut Vec::new(), u64::MAX);
    }

    #[test]
    fn local_columns_ignore_the_offset() {
        let parsed = DateTime::parse("2025-01-01T23:00:00-05:00").unwrap();
        assert_eq!(parsed.local_micros(), Ok(1_735_772_400_000_000));
        assert_eq!(parsed.days(), Ok(20_089));
        assert_eq!(DateTime::parse_date("2025-01-01").unwrap().days(), Ok(20_089));
        assert!(DateTime::parse_date("2025-01-01").unwrap().utc_micros().is_err());
    }
}
