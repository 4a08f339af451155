//! How evenly the bytes of the sections are spread.
//!
//! Sections may overlap, and a hostile table makes all of them the whole file. So the file is cut at every section's
//! beginning and end, each byte is counted once, and a section's counts are the sum of its cuts'.

use std::ops::Range;

/// Counts the bytes of ranges of a file that is fed from its beginning to its end.
pub(crate) struct Entropy {
    ranges: Vec<Range<u64>>,
    cuts: Vec<Cut>,
    /// The first cut that does not lie wholly behind us.
    next: usize,
    at: u64,
}

/// A part of the file that lies in some range, in no part of which another range begins or ends.
struct Cut {
    range: Range<u64>,
    counts: Box<[u64; 256]>,
}

impl Entropy {
    pub(crate) fn new(ranges: Vec<Range<u64>>) -> Self {
        let mut ends: Vec<u64> = ranges.iter().flat_map(|range| [range.start, range.end]).collect();
        ends.sort_unstable();
        ends.dedup();
        let pairs = ends.iter().zip(ends.iter().skip(1));
        let cuts = pairs
            .map(|(start, end)| *start..*end)
            .filter(|cut| ranges.iter().any(|range| covers(range, cut)))
            .map(|range| Cut { range, counts: Box::new([0; 256]) })
            .collect();
        Self { ranges, cuts, next: 0, at: 0 }
    }

    /// Counts the next bytes of the file.
    pub(crate) fn update(&mut self, piece: &[u8]) {
        let start = self.at;
        self.at = start.saturating_add(piece.len() as u64);
        while let Some(cut) = self.cuts.get_mut(self.next) {
            count(&mut cut.counts, part(piece, start, &cut.range));
            if cut.range.end > self.at {
                break;
            }
            self.next = self.next.saturating_add(1);
        }
    }

    /// For each range its Shannon entropy, in thousandths of a bit per byte.
    pub(crate) fn finish(self) -> Vec<u16> {
        let sum = |range: &Range<u64>| {
            let mut counts = [0_u64; 256];
            for cut in self.cuts.iter().filter(|cut| covers(range, &cut.range)) {
                counts
                    .iter_mut()
                    .zip(cut.counts.iter())
                    .for_each(|(sum, count)| *sum = sum.saturating_add(*count));
            }
            thousandths(&counts)
        };
        self.ranges.iter().map(sum).collect()
    }
}

fn covers(range: &Range<u64>, cut: &Range<u64>) -> bool {
    range.start <= cut.start && cut.end <= range.end
}

/// What of `piece`, which begins at `start`, lies in `range`.
pub(crate) fn part<'a>(piece: &'a [u8], start: u64, range: &Range<u64>) -> &'a [u8] {
    let within = |at: u64| usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX).min(piece.len());
    piece.get(within(range.start)..within(range.end)).unwrap_or_default()
}

/// Four tables, or each count would wait for the one before it.
#[expect(clippy::indexing_slicing, reason = "a byte is always within a table of 256")]
fn count(counts: &mut [u64; 256], bytes: &[u8]) {
    // A piece is far shorter than what overflows these.
    let mut lanes = [[0_u32; 256]; 4];
    let fours = bytes.chunks_exact(4);
    let rest = fours.remainder();
    for four in fours {
        for (lane, byte) in lanes.iter_mut().zip(four) {
            let count = &mut lane[usize::from(*byte)];
            *count = count.wrapping_add(1);
        }
    }
    for byte in rest {
        let count = &mut counts[usize::from(*byte)];
        *count = count.wrapping_add(1);
    }
    for lane in lanes {
        counts.iter_mut().zip(lane).for_each(|(sum, count)| *sum = sum.saturating_add(count.into()));
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 0 and 8,000")]
#[expect(clippy::cast_precision_loss, reason = "the last bits of a share do not show in thousandths")]
fn thousandths(counts: &[u64; 256]) -> u16 {
    let total = counts.iter().copied().fold(0, u64::saturating_add) as f64;
    let shares = counts.iter().filter(|count| **count > 0).map(|count| *count as f64 / total);
    let bits: f64 = shares.map(|share| -share * share.log2()).sum();
    (bits * 1_000.0).round() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8], ranges: &[Range<u64>], piece: usize) -> Vec<u16> {
        let mut entropy = Entropy::new(ranges.to_vec());
        bytes.chunks(piece).for_each(|piece| entropy.update(piece));
        entropy.finish()
    }

    #[test]
    fn even_bytes_have_eight_bits_and_equal_ones_none() {
        let bytes: Vec<u8> = (0..=255).cycle().take(2_048).chain([7; 2_048]).collect();
        let ranges = [0..2_048, 2_048..4_096, 0..4_096, 100..100, 4_096..5_000];
        let whole: Range<u64> = 0..4_096;
        let mixed = of(&bytes, std::slice::from_ref(&whole), 4_096)[0];
        let expected = [8_000, 0, mixed, 0, 0];
        for piece in [1, 3, 512, 4_096] {
            assert_eq!(of(&bytes, &ranges, piece), expected, "{piece}");
        }
        assert!((4_000..5_100).contains(&mixed), "{mixed}");
    }

    #[test]
    fn overlapping_ranges_count_their_own_bytes() {
        let bytes: Vec<u8> = (0..10_000_u32).map(|n| (n * n % 251) as u8).collect();
        let ranges: [Range<u64>; 5] = [10..5_000, 20..30, 25..9_000, 0..10_000, 9_999..10_000];
        let together = of(&bytes, &ranges, 777);
        let apart: Vec<u16> =
            ranges.iter().map(|range| of(&bytes, std::slice::from_ref(range), 10_000)[0]).collect();
        assert_eq!(together, apart);
    }
}
