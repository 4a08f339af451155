//! What the vault may keep.

use std::ffi::OsString;
use std::time::Duration;

const DAY: u64 = 86_400;

/// Bounds of the vault. Without one nothing in it is ever removed.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Retention {
    /// Remove quarantined copies for good that rest longer than so many days [default: never]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    vault_max_age: Option<u32>,
    /// Remove the oldest quarantined copies for good when more than so many bytes rest on this machine; `K`, `M`, `G`
    /// and `T` count in powers of 1024 [default: never]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    vault_max_size: Option<u64>,
    /// How many days before such a removal `quell agent status` and the log tell of it
    #[arg(long, value_name = "DAYS", default_value_t = 1)]
    vault_notice: u32,
}

impl Retention {
    pub(super) fn bounds(&self) -> agent::vault::Retention {
        let days = |days: u32| Duration::from_secs(u64::from(days) * DAY);
        agent::vault::Retention {
            max_age: self.vault_max_age.map(days),
            max_size: self.vault_max_size,
            notice: days(self.vault_notice),
        }
    }

    /// As flags for another verb.
    pub(crate) fn flags(&self) -> Vec<OsString> {
        let flag = |name: &str, value: String| [name.into(), value.into()];
        let age = self.vault_max_age.map(|days| flag("--vault-max-age", days.to_string()));
        let size = self.vault_max_size.map(|bytes| flag("--vault-max-size", bytes.to_string()));
        let notice = flag("--vault-notice", self.vault_notice.to_string());
        age.into_iter().chain(size).chain([notice]).flatten().collect()
    }
}

fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, letter)) if letter.is_ascii_alphabetic() => (&text[..at], letter.to_ascii_uppercase()),
        _ => (text, ' '),
    };
    let power = [' ', 'K', 'M', 'G', 'T'].iter().position(|known| *known == unit);
    let bytes = power
        .zip(number.parse::<u64>().ok())
        .and_then(|(power, number)| (0..power).try_fold(number, |bytes, _| bytes.checked_mul(1024)));
    bytes.ok_or_else(|| "give a number of bytes, such as 5000000, 500M or 20G".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        assert_eq!(bytes("0"), Ok(0));
        assert_eq!(bytes("7k"), Ok(7 << 10));
        assert_eq!(bytes("20G"), Ok(20 << 30));
        for wrong in ["", "G", "-1", "1.5G", "1P", "1GB", "99999999999T", "\u{e9}"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
