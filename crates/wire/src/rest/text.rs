//! How the model's names and moments are written.

use std::fmt;

use jiff::Timestamp;
use model::{FileId, Time};
use serde::{Serialize, Serializer};

/// A moment: UTC, `Z`, steps of 100 ns with trailing zeros cut, and no dot when nothing is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(pub Time);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.0.nanoseconds();
        // The calendar ends in the year 9999, the model's count does not.
        let calendar = Timestamp::from_nanosecond(nanoseconds).unwrap_or(if nanoseconds < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        });
        calendar.fmt(f)
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// For fields whose wire form is their text.
pub(super) fn text<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Like [`text`], null if there is none.
pub(super) fn text_or_null<T: fmt::Display, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

/// Like [`text`], for a list.
pub(super) fn texts<T: fmt::Display, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(ToString::to_string))
}

/// The contract's word for the kind of hash.
pub(super) const fn kind_of(file: FileId) -> &'static str {
    match file {
        FileId::Sha1(_) => "Sha1",
        FileId::Sha256(_) => "Sha256",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_has_up_to_seven_digits_and_no_trailing_zero() {
        let whole = Time::from_seconds(1_512_392_783);
        let table = [
            (0, "2017-12-04T13:06:23Z"),
            (4_502_191, "2017-12-04T13:06:23.4502191Z"),
            (4_500_000, "2017-12-04T13:06:23.45Z"),
            (1, "2017-12-04T13:06:23.0000001Z"),
        ];
        for (ticks, expected) in table {
            assert_eq!(Stamp(Time::from_ticks(whole.ticks() + ticks)).to_string(), expected);
        }
    }

    #[test]
    fn a_moment_beyond_the_calendar_is_its_end() {
        assert!(Stamp(Time::from_ticks(i64::MAX)).to_string().starts_with("9999-12-30T"));
        assert!(Stamp(Time::from_ticks(i64::MIN)).to_string().starts_with("-009999-"));
    }
}
