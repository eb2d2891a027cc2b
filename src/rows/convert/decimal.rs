//! Decimal numbers as text, and whether they fit `numeric(precision, scale)`.
#![expect(clippy::cast_possible_wrap, reason = "lengths of texts in memory, far below i64::MAX")]

/// A decimal number `0.digits · 10^point`, without zeros at either end of `digits`. Zero has no digits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    is_negative: bool,
    digits: Vec<u8>,
    point: i64,
    /// The digits behind the point, as written: two for `1.50` and for `150e-2`.
    scale: i64,
}

/// The limits of `numeric` without precision (PostgreSQL manual, "Numeric Types").
const DIGITS_BEFORE_POINT_MAX: i64 = 131_072;
const DIGITS_AFTER_POINT_MAX: i64 = 16_383;
/// PostgreSQL reads no number with an exponent like this one (numeric.c, `set_var_from_str`).
const EXPONENT_BEYOND: i64 = i32::MAX as i64 / 2;

impl Decimal {
    /// Parses numbers such as `-12.50e3`: those of JSON, and the forms that are usual in strings.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            None => (unsigned, 0),
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        };
        let is_negative = text.starts_with('-');
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty() || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        if exponent.abs() >= EXPONENT_BEYOND {
            // A number that fits nowhere.
            return Some(Self { is_negative, digits: vec![b'1'], point: i64::MAX / 2, scale: 0 });
        }
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let mut point = whole.len() as i64 + exponent;
        let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
        digits.drain(..zeros);
        point -= zeros as i64;
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            point = 0;
        }
        Some(Self { is_negative, digits, point, scale: (fraction.len() as i64 - exponent).max(0) })
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.digits.len() as i64 <= self.point
    }

    /// The number, if it is whole and in range.
    pub(crate) fn to_i64(&self) -> Option<i64> {
        if !self.is_whole() || self.point > 19 {
            return None;
        }
        let zeros =
            std::iter::repeat_n(&b'0', usize::try_from(self.point).unwrap_or(0).saturating_sub(self.digits.len()));
        let magnitude = self.digits.iter().chain(zeros).fold(0, |value, digit| value * 10 + i128::from(digit - b'0'));
        i64::try_from(if self.is_negative { -magnitude } else { magnitude }).ok()
    }

    /// The number times a power of ten, rounded to a whole number (half away from zero), if that is in range.
    pub(crate) fn scaled(&self, power: i64) -> Option<i64> {
        let kept = self.point + power;
        if kept > 19 {
            return None;
        }
        let digit = |place: i64| {
            usize::try_from(place).ok().and_then(|place| self.digits.get(place)).map_or(0, |digit| digit - b'0')
        };
        let whole = (0..kept).fold(0, |value, place| value * 10 + i128::from(digit(place)));
        let magnitude = whole + i128::from(digit(kept) >= 5);
        i64::try_from(if self.is_negative { -magnitude } else { magnitude }).ok()
    }

    /// Whether the number, rounded to the scale (half away from zero), has no more than precision − scale digits before the point.
    pub(crate) fn fits(&self, precision_scale: Option<(u32, i32)>) -> bool {
        // Zeros at the end are kept, and count; those of a zero too. The text is read before it is rounded.
        if self.scale > DIGITS_AFTER_POINT_MAX {
            return false;
        }
        if self.digits.is_empty() {
            return true;
        }
        let Some((precision, scale)) = precision_scale else { return self.point <= DIGITS_BEFORE_POINT_MAX };
        let kept = self.point + i64::from(scale);
        // Rounding adds a digit in front if it carries through nines only.
        let carries = usize::try_from(kept).is_ok_and(|kept| {
            self.digits.get(kept).is_some_and(|&next| next >= b'5')
                && self.digits[..kept].iter().all(|&digit| digit == b'9')
        });
        let rounds_to_zero = kept < 0 || (kept == 0 && !carries);
        rounds_to_zero || self.point + i64::from(carries) <= i64::from(precision) - i64::from(scale)
    }
}

/// Too many digits make it as large as it can be.
fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let magnitude = (!digits.is_empty() && is_digits(digits)).then(|| digits.parse().unwrap_or(EXPONENT_BEYOND))?;
    Some(magnitude.min(EXPONENT_BEYOND) * if text.starts_with('-') { -1 } else { 1 })
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_in_range_are_read() {
        let check = |text: &str, expected: Option<i64>, is_whole| {
            let decimal = Decimal::parse(text).unwrap();
            assert_eq!((decimal.to_i64(), decimal.is_whole()), (expected, is_whole), "{text}");
        };
        check("12.0", Some(12), true);
        check("-1.50e2", Some(-150), true);
        check("-0", Some(0), true);
        check("0e-5", Some(0), true);
        check("0e30", Some(0), true);
        check("12.5", None, false);
        check("1e-1", None, false);
        check("9223372036854775807.0", Some(i64::MAX), true);
        check("-9223372036854775808.0", Some(i64::MIN), true);
        check("9223372036854775808", None, true);
        check("1e400", None, true);
        check("1.00000000000000000001", None, false);
    }

    #[test]
    fn numbers_are_scaled_and_rounded() {
        let check = |text: &str, power, expected: Option<i64>| {
            assert_eq!(Decimal::parse(text).unwrap().scaled(power), expected, "{text} {power}");
        };
        check("1.5", 3, Some(1500));
        check("-1.0000005", 6, Some(-1_000_001));
        check("1.00000049999", 6, Some(1_000_000));
        check("0.5", 0, Some(1));
        check("0.05", 0, Some(0));
        check("0", 6, Some(0));
        check("9223372036854775807", 0, Some(i64::MAX));
        check("9223372036854775808", 0, None);
        check("1e19", 0, None);
        check("1e1000000000", 3, None);
        check("1e-1000000000", 3, Some(0));
    }

    #[test]
    fn precision_and_scale_follow_postgresql() {
        let check = |text: &str, precision_scale, fits| {
            assert_eq!(Decimal::parse(text).map(|d| d.fits(precision_scale)), fits, "{text} {precision_scale:?}");
        };
        for (text, fits) in [
            ("0", true),
            ("999.99", true),
            ("999.994", true),
            ("999.995", false),
            ("1000", false),
            ("-999.99", true),
            ("1e2", true),
            ("1e3", false),
            ("0.001e5", true),
            ("1e-400", true),
        ] {
            check(text, Some((5, 2)), Some(fits));
        }
        check("0.09", Some((2, 3)), Some(true));
        check("0.0995", Some((2, 3)), Some(false));
        check("0.1", Some((2, 3)), Some(false));
        check("14999", Some((2, -3)), Some(true));
        check("99500", Some((2, -3)), Some(false));
        check("1e131071", None, Some(true));
        check("1e131072", None, Some(false));
        for text in ["1e99999999999", "1e-99999999999999999999", "0e1073741823"] {
            check(text, None, Some(false));
        }
        check("0e1073741822", None, Some(true));
        check("1e-16384", Some((5, 2)), Some(false));
        check("1e-16383", None, Some(true));
        for text in ["1e-16384", "0e-16384", "10e-16384"] {
            check(text, None, Some(false));
        }
        for text in ["", ".", "-", "1.2.3", "1e", "1e+", "1e+-1", "0x1", "NaN", "1 2"] {
            check(text, None, None);
        }
    }
}
