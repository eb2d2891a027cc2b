//! Date-times as events write them, and as PostgreSQL reads them.
//!
//! RFC 3339 with the liberties that common validators and PostgreSQL both take: a space or a tab for the `T`, an offset as
//! `+0000` or `+00`. Fractions of a second are rounded to microseconds the way PostgreSQL's text input does it (to nearest,
//! ties to even, on the double-precision value), because what the table shows must be what PostgreSQL makes of the text;
//! the usual date libraries truncate.

/// A date-time, taken apart but not yet judged by what a column can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DateTime {
    year: i32,
    month: i32,
    day: i32,
    /// Microseconds since midnight, in local time; 24:00 and second 60 are in the next day or minute.
    micros_of_day: i64,
    /// East of UTC, in minutes. `None` where a date stands alone.
    offset_minutes: Option<i32>,
}

/// PostgreSQL takes no offset of 16 hours or more (`MAX_TZDISP_HOUR` in its datetime.h).
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
        let hour = digits(&clock[..2])?;
        let minute = digits(&clock[3..5])?;
        let second = digits(&clock[6..8])?;
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let (fraction, rest) = split_fraction(rest)?;
        let offset = offset_minutes(rest)?;
        if second == 60 {
            // A leap second exists only at the end of a UTC day (RFC 3339 section 5.7).
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
        let year = digits(&date[..4])?;
        let month = digits(&date[5..7])?;
        let day = digits(&date[8..])?;
        let last_day = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            _ => return None,
        };
        if day == 0 || day > last_day {
            return None;
        }
        Some(Self { year, month, day, micros_of_day: 0, offset_minutes: None })
    }

    /// Microseconds since 1970-01-01 UTC, for `timestamptz`.
    pub(crate) fn utc_micros(&self) -> Result<i64, &'static str> {
        let offset = self.offset_minutes.ok_or("has no time and no offset from UTC")?;
        if offset.abs() > OFFSET_MINUTES_MAX {
            return Err("has an offset from UTC of 16 hours or more, which PostgreSQL does not take");
        }
        Ok(self.local_micros()? - i64::from(offset) * 60_000_000)
    }

    /// Microseconds since 1970-01-01 on the local clock, for `timestamp`, which ignores the offset.
    pub(crate) fn local_micros(&self) -> Result<i64, &'static str> {
        if self.micros_of_day > MICROS_PER_DAY {
            return Err("is a fraction of a leap second, which PostgreSQL does not take");
        }
        Ok(i64::from(self.days()?) * MICROS_PER_DAY + self.micros_of_day)
    }

    /// Days since 1970-01-01 on the local calendar, for `date`, which ignores time and offset.
    pub(crate) fn days(&self) -> Result<i32, &'static str> {
        if self.year == 0 {
            return Err("is in the year 0000, which PostgreSQL does not take");
        }
        // Days from the civil calendar, counting years from March so that the leap day comes last.
        let (year, month) = (self.year - i32::from(self.month <= 2), self.month);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Ok(era * 146_097 + day_of_era - 719_468)
    }
}

/// Writes days since 1970-01-01 as `2025-01-31`.
pub(crate) fn format_days(days: i32) -> String {
    let (year, month, day) = civil_date(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Year, month and day in the Gregorian calendar, from days since 1970-01-01.
fn civil_date(days: i32) -> (i32, i32, i32) {
    // The civil calendar from days, counting years from March so that the leap day comes last.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i32::from(month <= 2), month, day)
}

/// Appends milliseconds since 1970-01-01 as `2025-01-31T12:00:00.000Z`, up to the year 9999.
///
/// Writes digits instead of formatting, because the simulator stamps each event.
#[cfg(feature = "simulator")]
pub(crate) fn push_millis(out: &mut Vec<u8>, unix_millis: u64) {
    const MILLIS_PER_DAY: u64 = 86_400_000;
    let (year, month, day) = civil_date(i32::try_from(unix_millis / MILLIS_PER_DAY).unwrap_or(0));
    #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "less than a day")]
    let of_day = (unix_millis % MILLIS_PER_DAY) as i32;
    let mut text = *b"0000-00-00T00:00:00.000Z";
    for (at, digits, mut number) in [
        (0, 4, year),
        (5, 2, month),
        (8, 2, day),
        (11, 2, of_day / 3_600_000),
        (14, 2, of_day / 60_000 % 60),
        (17, 2, of_day / 1000 % 60),
        (20, 3, of_day % 1000),
    ] {
        for place in text[at..at + digits].iter_mut().rev() {
            *place = b"0123456789"[(number % 10) as usize];
            number /= 10;
        }
    }
    out.extend_from_slice(&text);
}

/// Writes microseconds since 1970-01-01 as `2025-01-31T12:00:00.000000`.
pub(crate) fn format_micros(micros: i64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "292,000 years fit")]
    let days = micros.div_euclid(MICROS_PER_DAY) as i32;
    let of_day = micros.rem_euclid(MICROS_PER_DAY);
    let (seconds, fraction) = (of_day / 1_000_000, of_day % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}.{fraction:06}", format_days(days))
}

/// A number of at most four decimal digits.
fn digits(text: &[u8]) -> Option<i32> {
    text.iter().try_fold(0, |value, &byte| byte.is_ascii_digit().then(|| value * 10 + i32::from(byte - b'0')))
}

/// Takes `.ddd` off the front, as microseconds.
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
        2 => (digits(hours_minutes)?, 0),
        4 => (digits(&hours_minutes[..2])?, digits(&hours_minutes[2..])?),
        5 if hours_minutes[2] == b':' => (digits(&hours_minutes[..2])?, digits(&hours_minutes[3..])?),
        _ => return None,
    };
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_postgresql_reads() {
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
    fn formats_what_it_reads() {
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
    fn milliseconds_are_written_as_the_calendar_has_them() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_767_225_600_000, "2026-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_709_210_096_007, "2024-02-29T12:34:56.007Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ];
        for (unix_millis, expected) in cases {
            let mut out = Vec::new();
            push_millis(&mut out, unix_millis);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
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
