//! The header of an ELF file, and what the beginning of the file alone tells.

use super::form::Form;
use super::tables::PT_INTERP;

pub(super) const ET_REL: u16 = 1;
pub(super) const ET_EXEC: u16 = 2;
pub(super) const ET_DYN: u16 = 3;
pub(super) const ET_CORE: u16 = 4;

/// What the header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) form: Form,
    /// `e_type`.
    pub(super) kind: u16,
    pub(super) machine: u16,
    pub(super) segments: Table,
    pub(super) sections: Table,
    /// Number of the section that names sections.
    pub(super) names: u16,
}

/// Where a table is said to lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    pub(super) offset: u64,
    /// Length of an entry in bytes.
    pub(super) entry: u16,
    pub(super) count: u16,
}

impl Header {
    /// None when `head` breaks off in it, or it is of no known form.
    pub(super) fn read(head: &[u8]) -> Option<Self> {
        let form = Form::of(head)?;
        // Where the tables' offsets stand, and where the numbers that close the header begin.
        let (offsets, counts) = if form.is_wide { (32, 54) } else { (28, 42) };
        let half = |number: usize| form.u16(head, counts + 2 * number);
        Some(Self {
            form,
            kind: form.u16(head, 16)?,
            machine: form.u16(head, 18)?,
            segments: Table { offset: form.word(head, offsets)?, entry: half(0)?, count: half(1)? },
            sections: Table {
                offset: form.word(head, offsets + form.word_length())?,
                entry: half(2)?,
                count: half(3)?,
            },
            names: half(4)?,
        })
    }
}

/// Program, shared object, … as far as the head tells. A position-independent program differs from a shared
/// object by having an interpreter; [`super::read`] sees more.
pub(crate) fn subtype(head: &[u8]) -> Option<&'static str> {
    let header = Header::read(head)?;
    match header.kind {
        ET_REL => Some("Relocatable"),
        ET_EXEC => Some("Program"),
        ET_DYN if asks_for_loader(&header, head) => Some("Program"),
        ET_DYN => Some("SharedObject"),
        ET_CORE => Some("Core"),
        _ => None,
    }
}

fn asks_for_loader(header: &Header, head: &[u8]) -> bool {
    let Table { offset, entry, count } = header.segments;
    let table = usize::try_from(offset).ok().and_then(|offset| head.get(offset..)).unwrap_or_default();
    let entry = usize::from(entry).max(4);
    // No real program has more; a lying count costs no more than this.
    table.chunks(entry).take(usize::from(count.min(64))).any(|one| header.form.u32(one, 0) == Some(PT_INTERP))
}
