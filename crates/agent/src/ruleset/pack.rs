//! Writes packed rules.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::io::{self, Write};

use model::RuleId;
use model::rule::{Identifier, Rule, Scope};

use super::Packed;
use super::layout::{Header, Kind, MOST, digest, encode_entry, encode_scope, width};

/// Writes rules, which are sorted by identifier and id, in one pass after another that measures them.
///
/// # Errors
/// `InvalidInput` when they are not sorted, or are too many; those of writing.
pub(super) fn write(out: &mut impl Write, rules: impl Iterator<Item = Rule> + Clone) -> io::Result<()> {
    let (header, scopes) = measure(rules.clone())?;
    let mut out = Summing { out, sum: 0 };
    out.write_all(&header.encode())?;
    for scope in &scopes {
        out.write_all(&encode_scope(scope))?;
    }
    let mut rules = rules.peekable();
    let mut entry = Vec::with_capacity(64);
    for section in header.layout().sections {
        let mut directory = Vec::with_capacity(section.places());
        for index in 0..section.count as u32 {
            let Some(rule) = rules.next() else { return Err(unsorted()) };
            let places = if section.bits > 0 { section.place(digest(&rule.identifier)) + 1 } else { 0 };
            if directory.len() < places {
                directory.resize(places, index);
            }
            let scope = scopes.binary_search(&rule.scope).map_err(|_| unsorted())?;
            entry.clear();
            encode_entry(&header, &rule, scope as u64, &mut entry);
            out.write_all(&entry)?;
        }
        directory.resize(section.places(), section.count as u32);
        for first in directory {
            out.write_all(&first.to_le_bytes())?;
        }
    }
    let sum = out.sum;
    out.write_all(&sum.to_le_bytes())
}

/// The bytes of a set without rules.
pub(super) fn empty() -> Vec<u8> {
    let mut bytes = Header::default().encode().to_vec();
    let sum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// What the rules have in common, and the table of their scopes.
fn measure(rules: impl Iterator<Item = Rule>) -> io::Result<(Header, Vec<Scope>)> {
    let mut counts = [0_u64; 4];
    let mut scopes = BTreeSet::new();
    let mut ids: Option<(u64, u64)> = None;
    let mut untils: Option<(i64, i64)> = None;
    let mut last: Option<(Identifier, RuleId)> = None;
    for rule in rules {
        let key = (rule.identifier, rule.id);
        if last.replace(key).is_some_and(|last| last >= key) {
            return Err(unsorted());
        }
        counts[Kind::of(&rule.identifier) as usize] += 1;
        scopes.insert(rule.scope);
        ids = Some(widened(ids, rule.id.0));
        untils = rule.until.map(|until| widened(untils, until.ticks())).or(untils);
    }
    if counts.iter().sum::<u64>() > MOST {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many rules"));
    }
    let (first_id, last_id) = ids.unwrap_or_default();
    let (first_until, last_until) = untils.unwrap_or_default();
    let header = Header {
        counts: counts.map(|count| count as u32),
        scopes: scopes.len() as u32,
        first_id,
        first_until,
        id_width: width(last_id - first_id),
        until_width: width(last_until.wrapping_sub(first_until).cast_unsigned()),
        scope_width: width((scopes.len() as u64).saturating_sub(1)),
    };
    Ok((header, scopes.into_iter().collect()))
}

fn widened<T: Copy + Ord>(range: Option<(T, T)>, value: T) -> (T, T) {
    range.map_or((value, value), |(first, last)| (first.min(value), last.max(value)))
}

fn unsorted() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "rules that are packed must be sorted")
}

/// Two sorted sets as one.
pub(super) fn merged(
    one: impl Iterator<Item = Rule> + Clone,
    other: impl Iterator<Item = Rule> + Clone,
) -> impl Iterator<Item = Rule> + Clone {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(here), Some(there)) if (there.identifier, there.id) < (here.identifier, here.id) => {
            other.next()
        }
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    })
}

/// Any number of sorted sets as one.
pub(super) fn all_merged(sets: &[Packed]) -> impl Iterator<Item = Rule> + Clone {
    let mut rests: Vec<_> = sets.iter().map(Packed::rules).collect();
    let mut firsts: Vec<_> = rests.iter_mut().map(Iterator::next).collect();
    let key = |set: usize, first: &Option<Rule>| first.map(|rule| Reverse((rule.identifier, rule.id, set)));
    let mut order: BinaryHeap<_> =
        firsts.iter().enumerate().filter_map(|(set, first)| key(set, first)).collect();
    std::iter::from_fn(move || {
        let Reverse((_, _, set)) = order.pop()?;
        let next = rests[set].next();
        order.extend(key(set, &next));
        std::mem::replace(&mut firsts[set], next)
    })
}

struct Summing<W> {
    out: W,
    sum: u32,
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sum = crc32c::crc32c_append(self.sum, &bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
