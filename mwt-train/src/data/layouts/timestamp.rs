//! Times as series files write them: numbers, or dates of the civil calendar.

/// A time in the file's unit where it is a number, in seconds where it is a date.
///
/// Dates are `2007-01-31`, also with slashes, and may have a time of day behind a space or a T:
/// `23:59`, `23:59:59` or `23:59:59.25`. Time zones and leap seconds are not known. `None` for
/// anything else.
pub(super) fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    match text.parse::<f64>() {
        Ok(number) => number.is_finite().then_some(number),
        Err(_) => date(text),
    }
}

fn date(text: &str) -> Option<f64> {
    let (day, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00"));
    let [year, month, day] = three(day.split(['-', '/']))?;
    let (year, month, day) = (whole(year, 0, 9_999)?, whole(month, 1, 12)?, whole(day, 1, 31)?);
    let mut parts = time.split(':');
    let (hour, minute) = (whole(parts.next()?, 0, 23)?, whole(parts.next()?, 0, 59)?);
    let second: f64 = parts.next().unwrap_or("0").parse().ok()?;
    if parts.next().is_some() || !(0.0..61.0).contains(&second) {
        return None;
    }
    let minutes = (days(year, month, day) * 24 + hour) * 60 + minute;
    Some(minutes as f64 * 60.0 + second)
}

/// A whole number from `least` to `most`, of digits alone.
fn whole(text: &str, least: i64, most: i64) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits)?;
    (least..=most).contains(&number).then_some(number)
}

/// The parts, if there are exactly three.
fn three<'a>(mut parts: impl Iterator<Item = &'a str>) -> Option<[&'a str; 3]> {
    let three = [parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(three)
}

/// Days since 1970-01-01, by Howard Hinnant's `days_from_civil`: years begin in March, so that the
/// leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_as_they_are() {
        assert_eq!(parse(" 12 "), Some(12.0));
        assert_eq!(parse("-0.5e3"), Some(-500.0));
        for text in ["", "nan", "inf", "1e999", "x"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn dates_are_seconds_since_1970() {
        assert_eq!(parse("1970-01-01"), Some(0.0));
        assert_eq!(parse("2001-09-09 01:46:40"), Some(1e9));
        assert_eq!(parse("2000/02/29T12:30"), Some(951_827_400.0));
        assert_eq!(parse("2000-03-01 00:00:00.25"), Some(951_868_800.25));
        assert_eq!(parse("1969-12-31 23:59:59"), Some(-1.0));
        assert!(parse("0000-01-01").is_some() && parse("9999-12-31").is_some());
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "2000-13-01",
            "2000-00-01",
            "2000-01-32",
            "2000-01",
            "2000-01-01-01",
            "+200-01-01",
            "20000-01-01",
            "2000-01-01 24:00",
            "2000-01-01 1",
            "2000-01-01 01:00:00:00",
            "2000-01-01 01:00:nan",
            "2000-01-01 01:00:61",
            "99999999999999999999-01-01",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
