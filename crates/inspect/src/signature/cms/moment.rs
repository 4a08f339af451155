//! Times of ASN.1.

use model::Time;

use super::tlv::Tlv;

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The moment that an element tells, in UTC. Time stamps have fractions of a second; what is finer than our resolution
/// is cut off.
pub(crate) fn moment(tlv: Tlv<'_>) -> Option<Time> {
    let text = tlv.value.strip_suffix(b"Z")?;
    let (year, rest) = match tlv.tag {
        UTC_TIME => {
            let (year, rest) = digits(text, 2)?;
            (if year < 50 { year.checked_add(2000)? } else { year.checked_add(1900)? }, rest)
        }
        GENERALIZED_TIME => digits(text, 4)?,
        _ => return None,
    };
    let (month, rest) = digits(rest, 2)?;
    let (day, rest) = digits(rest, 2)?;
    let (hour, rest) = digits(rest, 2)?;
    let (minute, rest) = digits(rest, 2)?;
    // Old certificates leave the seconds out.
    let (second, rest) = if rest.is_empty() { (0, rest) } else { digits(rest, 2)? };
    let ticks = fraction(rest)?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days_since_1970(year, month, day)?;
    let seconds = days.checked_mul(86_400)?.checked_add(hour.checked_mul(3600)?)?;
    let seconds = seconds.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
    Some(Time::from_ticks(seconds.checked_mul(10_000_000)?.checked_add(ticks)?))
}

/// Ticks of 100 ns that `.123` means; none of nothing.
fn fraction(text: &[u8]) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let text = text.strip_prefix(b".").filter(|text| (1..=18).contains(&text.len()))?;
    let mut ticks: i64 = 0;
    let mut unit: i64 = 1_000_000;
    for byte in text {
        let digit = i64::from(char::from(*byte).to_digit(10)?);
        ticks = ticks.checked_add(digit.checked_mul(unit)?)?;
        unit = unit.checked_div(10)?;
    }
    Some(ticks)
}

fn digits(text: &[u8], count: usize) -> Option<(i64, &[u8])> {
    let (digits, rest) = text.split_at_checked(count)?;
    let mut number: i64 = 0;
    for byte in digits {
        number = number.checked_mul(10)?.checked_add(char::from(*byte).to_digit(10)?.into())?;
    }
    Some((number, rest))
}

/// Days from 1970-01-01 to a day of the Gregorian calendar, counted in years that begin in March.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = month.checked_add(9)?.rem_euclid(12);
    let day_of_year =
        shifted.checked_mul(153)?.checked_add(2)?.div_euclid(5).checked_add(day)?.checked_sub(1)?;
    let leap_days = year_of_era.div_euclid(4).checked_sub(year_of_era.div_euclid(100))?;
    let day_of_era = year_of_era.checked_mul(365)?.checked_add(leap_days)?.checked_add(day_of_year)?;
    era.checked_mul(146_097)?.checked_add(day_of_era)?.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tag: u8, text: &[u8]) -> Option<i64> {
        moment(Tlv { tag, raw: text, value: text }).map(Time::ticks)
    }

    #[test]
    fn times_are_read() {
        assert_eq!(read(UTC_TIME, b"700101000000Z"), Some(0));
        assert_eq!(read(UTC_TIME, b"7001010001Z"), Some(600_000_000));
        assert_eq!(read(UTC_TIME, b"491231235959Z"), Some(2_524_607_999 * 10_000_000));
        assert_eq!(read(UTC_TIME, b"500101000000Z"), Some(-631_152_000 * 10_000_000));
        assert_eq!(read(GENERALIZED_TIME, b"20240229120000.5Z"), Some(17_092_080_005_000_000));
        assert_eq!(read(GENERALIZED_TIME, b"20240229120000.123456789Z"), Some(17_092_080_001_234_567));
        assert!(read(GENERALIZED_TIME, b"99991231235959Z").is_some());
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in
            [&b""[..], b"Z", b"20241301000000Z", b"2024010100000aZ", b"20240101000000", b"20240101000000.Z"]
        {
            assert_eq!(read(GENERALIZED_TIME, text), None, "{text:?}");
        }
        assert_eq!(read(0x04, b"20240101000000Z"), None);
    }
}
