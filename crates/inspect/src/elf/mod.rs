//! What an ELF file says of itself.
//!
//! Read by its parts: never the whole file, no more of a part than its bound, and no offset is trusted. Where tables
//! contradict each other, that counts which kernel and loader look at.

mod appended;
mod der;
mod dynamic;
mod form;
mod go;
mod header;
mod notes;
mod reading;
mod rust;
mod tables;

use std::io;

use model::inspection::{Elf, Inspection, Linkage, Outcome, Relro};

use crate::source::Source;
use dynamic::Dynamic;
pub(crate) use header::subtype;
use header::{ET_CORE, ET_DYN, ET_EXEC, ET_REL, Header};
use reading::Reading;
use tables::{PF_X, PT_GNU_RELRO, PT_GNU_STACK, PT_INTERP, SHF_EXECINSTR, SHT_SYMTAB, Tables};

/// No header is longer.
const HEADER: usize = 64;

/// Tells of an ELF file.
pub(crate) fn tell(source: &dyn Source, inspection: &mut Inspection) -> io::Result<()> {
    let head = source.piece(0, HEADER)?;
    let Some(header) = Header::read(&head) else {
        inspection.outcome = Outcome::Malformed("its header is not whole or of no known form".to_owned());
        return Ok(());
    };
    let reading = Reading::of(source);
    let (elf, subtype) = read(&reading, &header)?;
    inspection.elf = Some(elf);
    inspection.facts.subtype = subtype.map(str::to_owned);
    inspection.outcome = reading.outcome();
    Ok(())
}

/// All of it, and its subtype, finer than the beginning tells.
fn read(reading: &Reading<'_>, header: &Header) -> io::Result<(Elf, Option<&'static str>)> {
    let form = header.form;
    let tables = Tables::read(reading, header)?;
    let dynamic = Dynamic::read(reading, form, &tables)?;
    let interpreter = interpreter(reading, &tables)?;
    let linkage = linkage(interpreter.as_deref(), dynamic.as_ref());
    let relro = relro(&tables, dynamic.as_ref());
    let dynamic = dynamic.unwrap_or_default();
    let elf = Elf {
        machine: header.machine,
        bits: if form.is_wide { 64 } else { 32 },
        is_big_endian: form.is_big_endian,
        // The notes of a core are about a process.
        build_id: if header.kind == ET_CORE { Vec::new() } else { notes::build_id(reading, form, &tables)? },
        interpreter,
        needed: dynamic.needed,
        soname: dynamic.soname,
        linkage,
        relro,
        is_position_independent: header.kind == ET_DYN,
        has_nx: has_nx(header, &tables),
        is_stripped: !tables.sections.iter().any(|section| section.kind == SHT_SYMTAB),
        go: go::read(reading, &tables)?,
        rust: rust::read(reading, &tables)?,
        module_signature: appended::read(reading)?,
    };
    let subtype = finer(header, &tables, dynamic.is_program);
    Ok((elf, subtype))
}

/// The kernel takes the first, and reads it where its segment lies in the file.
fn interpreter(reading: &Reading<'_>, tables: &Tables) -> io::Result<Option<String>> {
    let Some(segment) = tables.segments.iter().find(|segment| segment.kind == PT_INTERP) else {
        return Ok(None);
    };
    // A file that holds only what debuggers need has the segment and nothing in it.
    if segment.size == 0 {
        return Ok(None);
    }
    let path = reading.text(segment.offset, segment.size)?;
    if path.is_none() {
        reading.malformed("the path of its loader is not there");
    }
    Ok(path)
}

/// A program that is loaded anywhere has a dynamic table for itself; it needs nobody when it names nobody.
fn linkage(interpreter: Option<&str>, dynamic: Option<&Dynamic>) -> Linkage {
    let is_alone = |dynamic: &Dynamic| dynamic.is_program && dynamic.needed.is_empty();
    match dynamic {
        _ if interpreter.is_some() => Linkage::Dynamic,
        Some(dynamic) if !is_alone(dynamic) => Linkage::Dynamic,
        _ => Linkage::Static,
    }
}

fn relro(tables: &Tables, dynamic: Option<&Dynamic>) -> Relro {
    match tables.last(PT_GNU_RELRO) {
        None => Relro::None,
        Some(_) if dynamic.is_some_and(|dynamic| dynamic.binds_now) => Relro::Full,
        Some(_) => Relro::Partial,
    }
}

/// Whether it says that its stack need not be executable; what says nothing does not.
fn has_nx(header: &Header, tables: &Tables) -> bool {
    if header.kind == ET_REL {
        let section = tables.named(".note.GNU-stack");
        return section.is_some_and(|section| section.flags & SHF_EXECINSTR == 0);
    }
    tables.last(PT_GNU_STACK).is_some_and(|segment| segment.flags & PF_X == 0)
}

fn finer(header: &Header, tables: &Tables, is_program: bool) -> Option<&'static str> {
    match header.kind {
        // Without it the kernel loads none.
        ET_REL if tables.named(".gnu.linkonce.this_module").is_some() => Some("KernelModule"),
        ET_REL => Some("Relocatable"),
        ET_EXEC => Some("Program"),
        // Libraries that can be run, such as the C library, have an interpreter, too.
        ET_DYN if is_program => Some("Program"),
        ET_DYN => Some("SharedObject"),
        ET_CORE => Some("Core"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
