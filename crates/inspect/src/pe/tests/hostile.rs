//! Files that are made to do harm: nothing panics, and no count in a file decides how long we work.

use std::cell::Cell;
use std::io;

use model::Time;
use model::inspection::{Inspection, Outcome};

use super::build::Program;
use super::{Import, inspected};
use crate::source::Source;
use crate::trust::Trust;

/// Counts what is read of it.
struct Counted<'a> {
    bytes: &'a [u8],
    read: Cell<u64>,
}

impl Source for Counted<'_> {
    fn size(&self) -> u64 {
        self.bytes.size()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let length = self.bytes.read_at(offset, into)?;
        self.read.set(self.read.get() + length as u64);
        Ok(length)
    }
}

/// Inspects the bytes, and how many were read for it.
fn counted(bytes: &[u8]) -> (Inspection, u64) {
    let source = Counted { bytes, read: Cell::new(0) };
    let found = crate::inspect(&source, &Trust::default(), Time::from_seconds(0)).unwrap();
    (found, source.read.get())
}

#[test]
fn no_prefix_makes_it_panic() {
    for is_plus in [false, true] {
        let bytes = Program::usual(is_plus).bytes();
        for end in 0..bytes.len() {
            inspected(&bytes[..end]);
        }
    }
}

#[test]
fn a_header_that_ends_early_is_malformed() {
    let bytes = Program::usual(true).bytes();
    let found = inspected(&bytes[..0x80 + 30]);
    assert!(matches!(found.outcome, Outcome::Malformed(_)), "{found:?}");
    assert!(found.facts.is_pe() && found.pe.is_none());
    assert!(!inspected(&bytes[..0x82]).facts.is_pe());
}

/// A sequence that is always the same, and good enough to hit everything.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }
}

#[test]
fn no_mutant_makes_it_panic_or_read_without_end() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut program = Program::usual(true);
    program.certificates = vec![0x30; 72];
    let seeds = [Program::usual(false).bytes(), Program::usual(true).bytes(), program.bytes()];
    let interesting = [0, 1, 0x7f, 0x80, 0xff];
    for round in 0..6_000 {
        let mut bytes = seeds[round % seeds.len()].clone();
        for _ in 0..=numbers.next(8) {
            // Headers and tables are worth more than the rest.
            let most = if numbers.next(2) == 0 { 0x400 } else { bytes.len() };
            let at = numbers.next(most);
            bytes[at] =
                if numbers.next(2) == 0 { interesting[numbers.next(5)] } else { numbers.next(256) as u8 };
        }
        let (_, read) = counted(&bytes);
        assert!(read < 64 * bytes.len() as u64 + 4_000_000, "round {round}: {read}");
    }
}

#[test]
fn sections_without_number_are_not_read() {
    let mut program = Program::usual(true);
    program.overlay = vec![0xaa; 1 << 20];
    let mut bytes = program.bytes();
    bytes[0x86..0x88].copy_from_slice(&0xffff_u16.to_le_bytes());
    // Each entry claims the whole file.
    let length = bytes.len() as u32;
    for entry in bytes[program.optional_at() + 240..].chunks_exact_mut(40).take(20_000) {
        entry[..8].copy_from_slice(b"all\0\0\0\0\0");
        for (at, value) in [(8, length), (12, 0x1000), (16, length), (20, 0), (36, 0)] {
            entry[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
    }
    let (found, read) = counted(&bytes);
    let pe = found.pe.unwrap();
    assert_eq!((pe.section_count, pe.sections.len()), (0xffff, 96));
    assert!(
        pe.sections.iter().all(|section| section.entropy_thousandths == pe.sections[0].entropy_thousandths)
    );
    assert!(read < 3 * bytes.len() as u64, "{read}");
}

#[test]
fn descriptors_that_share_their_tables_come_to_an_end() {
    let mut program = Program::new(false);
    let names = ["a"; 64].map(Import::Name);
    program.imports(&[("a.dll", &names)]);
    let one = program.bytes();
    let mut descriptors = Vec::new();
    for _ in 0..50_000 {
        descriptors.extend_from_slice(&one[0x400..0x400 + 20]);
    }
    let address = program.section(b".many\0\0\0", descriptors);
    program.directory(1, address, u32::MAX);
    let (found, read) = counted(&program.bytes());
    assert!(found.pe.unwrap().imphash.is_some());
    assert!(read < 20_000_000, "{read}");
}

#[test]
fn a_resource_tree_that_leads_into_itself_comes_to_an_end() {
    let mut program = Program::new(true);
    let mut tree = vec![0; 14];
    tree.extend(0xffff_u16.to_le_bytes());
    for _ in 0..0xffff {
        tree.extend(16_u32.to_le_bytes());
        tree.extend(0x8000_0000_u32.to_le_bytes());
    }
    let address = program.section(b".rsrc\0\0\0", tree);
    program.directory(2, address, 0xffff);
    let (found, read) = counted(&program.bytes());
    assert_eq!(found.publisher, None);
    assert!(read < 20_000_000, "{read}");
}
