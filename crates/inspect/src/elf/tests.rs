use std::cell::Cell;

use super::form::Form;
use super::*;

/// Where the file is loaded.
const BASE: u64 = 0x1_0000;
const NAMES: &[u8] = b"\0.shstrtab\0.symtab\0.comment\0.go.buildinfo\0.gnu.linkonce.this_module\0";
const FORMS: [Form; 4] = [
    Form { is_wide: true, is_big_endian: false },
    Form { is_wide: true, is_big_endian: true },
    Form { is_wide: false, is_big_endian: false },
    Form { is_wide: false, is_big_endian: true },
];

/// Writes numbers as a form has them.
struct Writing {
    form: Form,
    bytes: Vec<u8>,
}

impl Writing {
    fn number(&mut self, length: usize, number: u64) {
        let all = number.to_be_bytes();
        let mut bytes = all[8 - length..].to_vec();
        if !self.form.is_big_endian {
            bytes.reverse();
        }
        self.bytes.extend(bytes);
    }

    fn word(&mut self, number: u64) {
        self.number(self.form.word_length(), number);
    }

    /// Adds bytes at a multiple of 16, and says where.
    fn add(&mut self, bytes: &[u8]) -> (u64, u64) {
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        let at = self.bytes.len() as u64;
        self.bytes.extend(bytes);
        (at, bytes.len() as u64)
    }

    fn numbers(form: Form, length: usize, numbers: &[u64]) -> Vec<u8> {
        let mut writing = Self { form, bytes: Vec::new() };
        numbers.iter().for_each(|number| writing.number(length, *number));
        writing.bytes
    }
}

/// A position-independent program that needs two libraries, written by Go and compiled by rustc.
fn program(form: Form) -> Vec<u8> {
    let (header, segment, section) = if form.is_wide { (64, 56, 64) } else { (52, 32, 40) };
    let mut body = Writing { form, bytes: vec![0; header + 6 * segment] };
    let strings = body.add(b"\0libc.so.6\0libm.so.6\0libme.so.1\0");
    let interpreter = body.add(b"/lib/ld.so\0");
    let table =
        [1, 1, 1, 11, 5, strings.0 + BASE, 10, strings.1, 14, 21, 24, 0, 0x6fff_fffb, 0x0800_0000, 0, 0];
    let dynamic = body.add(&Writing::numbers(form, form.word_length(), &table));
    let other = [&Writing::numbers(form, 4, &[4, 5, 7])[..], b"GNU\0", &[1, 2, 3, 4, 5, 0, 0, 0]].concat();
    let id = [&Writing::numbers(form, 4, &[4, 3, 3])[..], b"GNU\0", &[0xab, 0xcd, 0xef]].concat();
    let notes = body.add(&[other, id].concat());
    let modules = format!("{0}mod\tm.org/m\tv1.2.3\n{0}", "s".repeat(16));
    let go =
        [b"\xff Go buildinf:\x08\x02".as_slice(), &[0; 16], b"\x06go1.20", &[modules.len() as u8]].concat();
    let go = body.add(&[&go, modules.as_bytes()].concat());
    let comment = body.add(b"GCC: 12\0rustc version 1.95.0\0");
    let names = body.add(NAMES);
    let mut rows = vec![0; section];
    for (name, kind, (offset, size)) in [(1, 3, names), (11, 2, (0, 0)), (19, 1, comment), (28, 1, go)] {
        let mut row = Writing { form, bytes: Vec::new() };
        row.number(4, name);
        row.number(4, kind);
        [0, 0, offset, size].into_iter().for_each(|word| row.word(word));
        row.bytes.resize(section, 0);
        rows.extend(row.bytes);
    }
    let sections = body.add(&rows);
    let size = body.bytes.len() as u64;

    let mut head = Writing { form, bytes: b"\x7fELF".to_vec() };
    head.bytes.extend([1 + u8::from(form.is_wide), 1 + u8::from(form.is_big_endian), 1]);
    head.bytes.resize(16, 0);
    [3, 62].into_iter().for_each(|half| head.number(2, half));
    head.number(4, 1);
    [0, header as u64, sections.0].into_iter().for_each(|word| head.word(word));
    head.number(4, 0);
    [header, segment, 6, section, 5, 1].into_iter().for_each(|half| head.number(2, half as u64));
    let segments = [
        (1, 5, (0, size)),
        (3, 4, interpreter),
        (2, 6, dynamic),
        (4, 4, notes),
        (0x6474_e551, 6, (0, 0)),
        (0x6474_e552, 4, (0, 0)),
    ];
    for (kind, flags, (offset, size)) in segments {
        head.number(4, kind);
        if form.is_wide {
            head.number(4, flags);
        }
        [offset, offset + BASE, offset + BASE, size, size].into_iter().for_each(|word| head.word(word));
        if !form.is_wide {
            head.number(4, flags);
        }
        head.word(4);
    }
    body.bytes[..head.bytes.len()].copy_from_slice(&head.bytes);
    body.bytes
}

/// A whole file in memory.
struct Held<'b>(&'b [u8]);

impl Source for Held<'_> {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, into)
    }
}

fn told(bytes: &[u8]) -> Inspection {
    let mut inspection = Inspection::default();
    tell(&Held(bytes), &mut inspection).unwrap();
    inspection
}

#[test]
fn a_program_of_each_form_is_read() {
    for form in FORMS {
        let inspection = told(&program(form));
        assert_eq!(inspection.outcome, Outcome::Whole, "{form:?}");
        assert_eq!(inspection.facts.subtype.as_deref(), Some("Program"));
        let elf = inspection.elf.unwrap();
        assert_eq!((elf.machine, elf.bits == 64, elf.is_big_endian), (62, form.is_wide, form.is_big_endian));
        assert_eq!(elf.build_id, [0xab, 0xcd, 0xef]);
        assert_eq!(elf.interpreter.as_deref(), Some("/lib/ld.so"));
        assert_eq!(elf.needed, ["libc.so.6", "libm.so.6"]);
        assert_eq!(elf.soname.as_deref(), Some("libme.so.1"));
        assert_eq!((elf.linkage, elf.relro), (Linkage::Dynamic, Relro::Full));
        assert!(elf.is_position_independent && elf.has_nx && !elf.is_stripped);
        let go = elf.go.unwrap();
        assert_eq!((go.go_version.as_str(), go.module.unwrap().version.as_str()), ("go1.20", "v1.2.3"));
        assert_eq!(elf.rust.unwrap().compiler.as_deref(), Some("rustc version 1.95.0"));
        assert_eq!(elf.module_signature, None);
    }
}

/// The program with another number of two bytes at `at` of its header.
fn with(form: Form, at: usize, number: u16) -> Vec<u8> {
    let mut bytes = program(form);
    bytes[at..at + 2].copy_from_slice(&Writing::numbers(form, 2, &[u64::from(number)]));
    bytes
}

#[test]
fn counts_that_do_not_fit_stand_in_the_first_section() {
    for form in FORMS {
        let (counts, word) = if form.is_wide { (54, 8) } else { (42, 4) };
        let mut bytes = with(form, counts + 2, 0xffff);
        let table = form.word(&bytes, 32 - if word == 8 { 0 } else { 4 } + word).unwrap() as usize;
        bytes[counts + 6..counts + 8].fill(0);
        bytes[counts + 8..counts + 10].fill(0xff);
        // Length, number of the section of names, number of segments.
        let size = table + 8 + 3 * word;
        bytes[size..size + word].copy_from_slice(&Writing::numbers(form, word, &[5]));
        bytes[size + word..size + word + 8].copy_from_slice(&Writing::numbers(form, 4, &[1, 6]));
        let found = told(&bytes);
        assert_eq!((found.outcome, found.elf), (Outcome::Whole, told(&program(form)).elf), "{form:?}");
    }
}

#[test]
fn what_tables_promise_and_files_lack_is_said() {
    let form = FORMS[0];
    let flaw = |bytes: &[u8]| match told(bytes).outcome {
        Outcome::Malformed(why) => why,
        outcome => format!("{outcome:?}"),
    };
    assert_eq!(flaw(&with(form, 56, 0xfffe)), "its program header table lies outside of the file");
    assert_eq!(flaw(&with(form, 60, 0xfffe)), "its section table lies outside of the file");
    assert_eq!(flaw(&with(form, 54, 57)), "entries of its program header table are of the wrong length");
    assert_eq!(flaw(&program(form)[..63]), "its header is not whole or of no known form");
    assert_eq!(flaw(b"\x7fELF\x03\x01\x01"), "its header is not whole or of no known form");
    // Cut off behind the segments: what they say of the rest is not there.
    let cut = told(&program(form)[..0x1a0]);
    assert_eq!(cut.outcome.word(), "malformed");
    assert!(cut.elf.unwrap().has_nx, "what was read before stands");
}

#[test]
fn a_module_is_told_from_an_object_and_its_signer_named() {
    let mut bytes = with(FORMS[0], 16, 1);
    assert_eq!(told(&bytes).facts.subtype.as_deref(), Some("Relocatable"));
    let names = bytes.windows(NAMES.len()).position(|window| window == NAMES).unwrap();
    let renamed =
        bytes[names + 28..].windows(26).position(|window| window == b".gnu.linkonce.this_module\0").unwrap()
            as u64
            + 28;
    let table = FORMS[0].u64(&bytes, 40).unwrap() as usize;
    bytes[table + 3 * 64..table + 3 * 64 + 4].copy_from_slice(&Writing::numbers(FORMS[0], 4, &[renamed]));
    assert_eq!(told(&bytes).facts.subtype.as_deref(), Some("KernelModule"));

    bytes.extend(b"Some CA\x01\x02signature");
    bytes.extend([1, 4, 1, 7, 2, 0, 0, 0, 0, 0, 0, 9]);
    bytes.extend(b"~Module signature appended~\n");
    let signature = told(&bytes).elf.unwrap().module_signature.unwrap();
    assert_eq!((signature.signer.as_deref(), signature.digest.as_deref()), (Some("Some CA"), Some("sha256")));
    assert_eq!(signature.key_id, [1, 2]);
    // A length that leads before the file.
    let at = bytes.len() - 28 - 4;
    bytes[at..at + 4].copy_from_slice(&0xffff_u32.to_be_bytes());
    assert_eq!(told(&bytes).outcome, Outcome::Malformed("its appended signature can't be read".to_owned()));
}

#[test]
fn go_programs_of_before_1_18_name_addresses() {
    for form in FORMS {
        let mut bytes = program(form);
        let at = bytes.windows(14).position(|window| window == b"\xff Go buildinf:").unwrap();
        let word = form.word_length();
        let texts = bytes.len() as u64;
        let modules = format!("{0}path\tm.org/old\n{0}", "s".repeat(16));
        bytes.extend(b"go1.13");
        bytes.extend(modules.as_bytes());
        let headers = bytes.len() as u64;
        let pairs = [texts + BASE, 6, texts + 6 + BASE, modules.len() as u64];
        bytes.extend(Writing::numbers(form, word, &pairs));
        let pointers = [headers, headers + 2 * word as u64].map(|offset| offset + BASE);
        bytes[at + 14..at + 16].copy_from_slice(&[word as u8, u8::from(form.is_big_endian)]);
        bytes[at + 16..at + 16 + 2 * word].copy_from_slice(&Writing::numbers(form, word, &pointers));
        // The segment that is loaded is as long as the file now.
        let size = if form.is_wide { 64 + 32 } else { 52 + 16 };
        let length = Writing::numbers(form, word, &[bytes.len() as u64]);
        bytes[size..size + word].copy_from_slice(&length);
        let go = told(&bytes).elf.unwrap().go.unwrap();
        assert_eq!((go.go_version.as_str(), go.path.as_deref()), ("go1.13", Some("m.org/old")), "{form:?}");
    }
}

/// A file of any length, which says how much of it was read.
struct Endless {
    head: Vec<u8>,
    read: Cell<usize>,
}

impl Source for Endless {
    fn size(&self) -> u64 {
        1 << 50
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.read.set(self.read.get() + into.len());
        into.fill(0x41);
        self.head.as_slice().read_at(offset, into).map(|_| into.len())
    }
}

#[test]
fn whatever_numbers_say_little_is_read() {
    const MOST: usize = 32 << 20;
    let mut most = 0;
    for form in FORMS {
        let whole = program(form);
        for at in (0..whole.len() - 8).step_by(2) {
            for number in [0, 1, 0x7fff_ffff, 0xffff_fff0, u64::MAX, 0x0001_0001_0001_0001] {
                let mut head = whole.clone();
                head[at..at + 8].copy_from_slice(&Writing::numbers(form, 8, &[number]));
                told(&head);
                // The tables alone decide how much is read.
                if at < 0x40 && number != 1 {
                    let endless = Endless { head, read: Cell::new(0) };
                    tell(&endless, &mut Inspection::default()).unwrap();
                    most = most.max(endless.read.get());
                }
            }
        }
    }
    assert!(most < MOST, "{most} bytes were read");
}

#[test]
fn no_beginning_of_a_program_is_too_short() {
    for form in FORMS {
        let whole = program(form);
        for end in 0..whole.len() {
            told(&whole[..end]);
            let _ = subtype(&whole[..end]);
        }
    }
}
