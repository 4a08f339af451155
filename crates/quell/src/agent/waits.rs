//! How long openers waited for the guard, from its counts by powers of two of a microsecond.

/// The time that no more than this share of the openers exceeded, in µs, to the next power of two; none when
/// nobody waited.
pub(super) fn quantile(waits: &[u64], share: f64) -> Option<u64> {
    let all: u64 = waits.iter().sum();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count; a count of 2^52 answers is not reached"
    )]
    let wanted = ((all as f64) * share).ceil() as u64;
    let mut seen = 0;
    let reaches = |count: &u64| {
        seen += count;
        seen >= wanted
    };
    let bucket = waits.iter().position(reaches).filter(|_| all > 0)?;
    Some(1 << bucket)
}

/// What was counted between two looks.
pub(super) fn between(before: &[u64], after: &[u64]) -> Vec<u64> {
    let before = before.iter().copied().chain(std::iter::repeat(0));
    after.iter().zip(before).map(|(after, before)| after.saturating_sub(before)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_bound() {
        let waits = [0, 0, 90, 9, 0, 1];
        assert_eq!(quantile(&waits, 0.5), Some(4));
        assert_eq!(quantile(&waits, 0.95), Some(8));
        assert_eq!(quantile(&waits, 1.0), Some(32));
        assert_eq!(quantile(&[0, 0], 0.5), None);
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn a_guard_that_began_anew_counts_from_nothing() {
        assert_eq!(between(&[5, 5], &[1, 7, 2]), [0, 2, 2]);
        assert_eq!(between(&[], &[1, 7]), [1, 7]);
    }
}
