//! The history that `init-db` creates: its columns follow from the table's, and its partitions from the calendar.

use crate::config::Config;
use crate::time::timestamp::format_micros;

/// The months for which partitions are made: this one and the next two.
const MONTHS: usize = 3;

/// A history that is to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewHistory {
    /// The names of the mapped columns.
    pub(crate) columns: Vec<String>,
    /// The months with a partition of their own; none if the table is not partitioned.
    pub(crate) months: Vec<Month>,
}

/// A month of the calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Month {
    year: u32,
    /// From 1 on.
    month: u32,
}

impl NewHistory {
    /// `None` without `destination.history_table`. `now`: in microseconds since 1970-01-01 UTC.
    pub(crate) fn new(config: &Config, now: i64) -> Option<Self> {
        config.destination.history_table.as_ref()?;
        let columns = config.mapping.columns.iter().map(|(name, _)| name.clone()).collect();
        let months = if config.destination.history_partitioned { MONTHS } else { 0 };
        let months = std::iter::successors(Some(Month::of(now)), |month| Some(month.next())).take(months).collect();
        Some(Self { columns, months })
    }
}

impl Month {
    fn of(micros: i64) -> Self {
        let text = format_micros(micros);
        let number = |range: std::ops::Range<usize>| text.get(range).and_then(|digits| digits.parse::<u32>().ok());
        Self { year: number(0..4).unwrap_or(1970), month: number(5..7).unwrap_or(1) }
    }

    pub(crate) fn next(self) -> Self {
        let is_last = self.month == 12;
        Self { year: self.year + u32::from(is_last), month: if is_last { 1 } else { self.month + 1 } }
    }

    /// `20261101`
    pub(crate) fn digits(self) -> String {
        format!("{:04}{:02}01", self.year, self.month)
    }

    /// `2026-11-01`
    pub(crate) fn first_day(self) -> String {
        format!("{:04}-{:02}-01", self.year, self.month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_months_of_a_history_begin_with_this_one() {
        let mut config = Config::default();
        // 2026-11-30 23:59:59.999999 UTC
        let now = 1_796_083_199_999_999;
        assert_eq!(NewHistory::new(&config, now), None);
        config.destination.history_table = Some("h".into());
        assert_eq!(NewHistory::new(&config, now).unwrap().months, []);
        config.destination.history_partitioned = true;
        let days = |now| -> Vec<String> {
            NewHistory::new(&config, now).unwrap().months.into_iter().map(Month::first_day).collect()
        };
        assert_eq!(days(now), ["2026-11-01", "2026-12-01", "2027-01-01"]);
        assert_eq!(days(now + 1), ["2026-12-01", "2027-01-01", "2027-02-01"]);
        assert_eq!(Month::of(now).digits(), "20261101");
    }
}
