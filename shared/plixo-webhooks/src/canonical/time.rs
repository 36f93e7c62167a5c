//! Times as ERPs write them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::json::{FieldError, Object};

/// A time: RFC 3339; the same without an offset, with `T` or a blank (`2026-03-04 10:15:30.123456`), which counts as UTC; with an
/// offset without a colon (`-0700`); or Microsoft's `/Date(1518685950940+0000)/`, whose offset does not move the instant.
#[must_use]
pub fn timestamp(text: &str) -> Option<Timestamp> {
    if let Some(inner) = text.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/")) {
        let (sign, rest) = inner.split_at_checked(inner.len().min(1))?;
        let end = rest.find(['+', '-']).unwrap_or(rest.len());
        let (millis, _) = rest.split_at_checked(end)?;
        return Timestamp::from_millisecond([sign, millis].concat().parse().ok()?).ok();
    }
    if !text.is_ascii() || text.contains('[') || text.len() > 40 {
        return None;
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let (civil, offset) = match text.split_at_checked(text.len().saturating_sub(5)) {
        Some((civil, offset)) if offset.starts_with(['+', '-']) => (civil, Some(offset)),
        _ => (text, None),
    };
    let ahead = match offset {
        Some(offset) => minutes(offset)?,
        None => 0,
    };
    let at = civil.parse::<DateTime>().ok().filter(|_| civil.contains([' ', 'T']))?;
    let at = at.to_zoned(TimeZone::UTC).ok()?.timestamp();
    at.checked_sub(SignedDuration::from_mins(ahead)).ok()
}

/// The minutes of `+hhmm`.
fn minutes(offset: &str) -> Option<i64> {
    let (sign, digits) = offset.split_at_checked(1)?;
    let (hours, minutes) = digits.split_at_checked(2)?;
    let number = |text: &str| {
        let plain = text.bytes().all(|b| b.is_ascii_digit());
        if plain { text.parse::<i64>().ok() } else { None }
    };
    let ahead = number(hours)?.checked_mul(60)?.checked_add(number(minutes)?)?;
    Some(if sign == "-" { ahead.checked_neg()? } else { ahead })
}

/// A day: an ISO date, or the day of a time as it stands there (UTC of `/Date(…)/`). `0001-01-01` is Business Central's way of
/// saying none.
fn day(text: &str) -> Option<Option<Date>> {
    if text == "0001-01-01" {
        return Some(None);
    }
    if text.starts_with("/Date(") {
        return timestamp(text).map(|at| Some(at.to_zoned(TimeZone::UTC).date()));
    }
    let (day, rest) = text.split_at_checked(10)?;
    let is_day = rest.is_empty() || timestamp(text).is_some();
    day.parse().ok().filter(|_| is_day).map(Some)
}

impl Object<'_> {
    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, FieldError> {
        let Some(text) = self.text(name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        timestamp(&text).map(Some).ok_or_else(|| self.unknown(name))
    }

    pub(crate) fn day(&self, name: &str) -> Result<Option<Date>, FieldError> {
        let Some(text) = self.text(name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        day(&text).ok_or_else(|| self.unknown(name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_of_all_providers_are_read() {
        for (text, at) in [
            ("2026-03-04T10:15:30Z", "2026-03-04T10:15:30Z"),
            ("2026-03-04T10:15:30.123+01:00", "2026-03-04T09:15:30.123Z"),
            ("2015-10-05T14:42:19-0700", "2015-10-05T21:42:19Z"),
            ("2026-03-04 10:15:30.123456", "2026-03-04T10:15:30.123456Z"),
            ("2017-06-21T01:15:39.902", "2017-06-21T01:15:39.902Z"),
            ("/Date(1518685950940+0000)/", "2018-02-15T09:12:30.94Z"),
            ("/Date(1518685950940+1300)/", "2018-02-15T09:12:30.94Z"),
            ("/Date(1518685950940)/", "2018-02-15T09:12:30.94Z"),
            ("/Date(-86400000)/", "1969-12-31T00:00:00Z"),
        ] {
            assert_eq!(timestamp(text), Some(at.parse().unwrap()), "{text}");
        }
        for wrong in [
            "",
            "2026-03-04",
            "yesterday",
            "/Date()/",
            "/Date(x)/",
            "/Date(9e9)/",
            "/Date(99999999999999999)/",
            "2026-03-04T10:15:30+99:99",
            "2026-13-04T10:15:30Z",
            "2026-03-04T10:15:30Z[Europe/Berlin]",
            "10:15:30",
        ] {
            assert_eq!(timestamp(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn days_of_all_providers_are_read() {
        let read = |text: &str| day(text).map(|day| day.map(|day| day.to_string()));
        for text in
            ["2009-05-27", "2009-05-27T00:00:00", "2009-05-27T23:59:59Z", "/Date(1243382400000+0000)/"]
        {
            assert_eq!(read(text), Some(Some("2009-05-27".to_owned())), "{text}");
        }
        assert_eq!(read("0001-01-01"), Some(None));
        for wrong in ["", "27.05.2009", "2009-05-27x", "2009-02-30", "2009-5-27"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,45}|/Date\\([-+0-9]{0,25}\\)/|[-+0-9T:. Z]{0,30}") {
            let _ = (timestamp(&text), day(&text));
        }
    }
}
