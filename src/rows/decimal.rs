//! Decimal numbers as text, and whether they fit `numeric(precision, scale)`.
#![expect(clippy::cast_possible_wrap, reason = "lengths of texts in memory, far below i64::MAX")]

/// A decimal number `0.digits · 10^point`, without zeros at either end of `digits`. Zero has no digits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    digits: Vec<u8>,
    point: i64,
}

/// The limits of `numeric` without precision (PostgreSQL manual, "Numeric Types").
const DIGITS_BEFORE_POINT_MAX: i64 = 131_072;
const DIGITS_AFTER_POINT_MAX: i64 = 16_383;

impl Decimal {
    /// Parses numbers such as `-12.50e3`: those of JSON, and the forms that are usual in strings.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            None => (unsigned, 0),
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() && fraction.is_empty() || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let mut point = whole.len() as i64 + i64::from(exponent);
        let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
        digits.drain(..zeros);
        point -= zeros as i64;
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        Some(Self { digits, point })
    }

    /// Whether the number, rounded to the scale (half away from zero), has no more than precision − scale digits before the point.
    pub(crate) fn fits(&self, precision_scale: Option<(u32, i32)>) -> bool {
        if self.digits.is_empty() {
            return true;
        }
        let Some((precision, scale)) = precision_scale else {
            return self.point <= DIGITS_BEFORE_POINT_MAX
                && self.digits.len() as i64 - self.point <= DIGITS_AFTER_POINT_MAX;
        };
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

#[cfg(test)]
mod tests {
    use super::*;

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
        for text in ["", ".", "-", "1.2.3", "1e", "0x1", "NaN", "1 2", "1e99999999999"] {
            check(text, None, None);
        }
    }
}
