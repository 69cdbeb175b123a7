//! Times as RFC 3339 writes them, to microseconds since 1970 and back.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The microseconds of `2024-05-01T12:00:00Z`, of another offset, or of a date alone, which is its
/// midnight in UTC; parts of a microsecond are cut off.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let midnight;
    let whole = match text.len() {
        10 => {
            midnight = format!("{text}T00:00:00Z");
            &midnight
        }
        _ => text,
    };
    let time = OffsetDateTime::parse(whole, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1000)).ok()
}

/// The time in UTC; a number of microseconds where RFC 3339 has no year for it.
#[cfg(test)]
pub(crate) fn shown(micros: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{micros} µs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_offsets_and_fractions_and_dates_are_read() {
        assert_eq!(parse("1970-01-01"), Some(0));
        assert_eq!(parse("1970-01-01T00:00:01.5Z"), Some(1_500_000));
        assert_eq!(parse("1970-01-01T02:00:00+02:00"), Some(0));
        assert_eq!(parse("1969-12-31T23:59:59.9999999Z"), Some(-1));
        for other in ["", "2024", "2024-13-01", "2024-01-01 x", "12:00", "éééééééééé"] {
            assert_eq!(parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn times_are_shown_as_they_are_read() {
        for text in ["1970-01-01T00:00:00Z", "2024-05-01T12:30:00.25Z", "0001-01-01T00:00:00Z"] {
            assert_eq!(shown(parse(text).unwrap()), text);
        }
        assert_eq!(shown(i64::MAX), format!("{} µs", i64::MAX));
    }
}
