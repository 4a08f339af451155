//! What programs are linked with: their loader, libraries, and the libraries of these.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use object::elf;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, FileKind};

/// Directories that the loader searches where nothing else is said.
const DEFAULT: &[&str] = &["/lib64", "/usr/lib64", "/lib", "/usr/lib"];
/// No program on the list is larger; a sparse or lying one is not read into memory.
const LARGEST: u64 = 256 << 20;

/// The programs and all that they are linked with, as canonical paths.
pub(super) fn closure(programs: impl IntoIterator<Item = PathBuf>) -> BTreeSet<PathBuf> {
    let search = search_directories();
    let mut found = BTreeSet::new();
    let mut next: Vec<PathBuf> = programs.into_iter().collect();
    while let Some(path) = next.pop() {
        let Ok(path) = path.canonicalize() else { continue };
        if !path.is_file() || !found.insert(path.clone()) {
            continue;
        }
        let Some(needs) = needs(&path) else { continue };
        next.extend(needs.interpreter);
        let own = needs.directories.iter();
        let candidates = |name: &String| {
            let directories = own.clone().chain(&search);
            directories.map(|directory| directory.join(name)).find(|path| path.exists())
        };
        next.extend(needs.libraries.iter().filter_map(candidates));
    }
    found
}

/// What one ELF file asks its loader for.
#[derive(Default)]
struct Needs {
    interpreter: Option<PathBuf>,
    libraries: Vec<String>,
    directories: Vec<PathBuf>,
}

fn needs(path: &Path) -> Option<Needs> {
    if fs::metadata(path).ok()?.len() > LARGEST {
        return None;
    }
    let bytes = fs::read(path).ok()?;
    match FileKind::parse(bytes.as_slice()).ok()? {
        FileKind::Elf64 => read::<elf::FileHeader64<Endianness>>(path, &bytes),
        FileKind::Elf32 => read::<elf::FileHeader32<Endianness>>(path, &bytes),
        _ => None,
    }
}

fn read<Header: FileHeader<Endian = Endianness>>(path: &Path, bytes: &[u8]) -> Option<Needs> {
    let header = Header::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, bytes).ok()?;
    let mut needs = Needs::default();
    for segment in segments {
        if let Ok(Some(interpreter)) = segment.interpreter(endian, bytes) {
            needs.interpreter = Some(PathBuf::from(text(interpreter)?));
        }
    }
    let sections = header.sections(endian, bytes).ok()?;
    let Ok(Some((dynamic, link))) = sections.dynamic(endian, bytes) else { return Some(needs) };
    let strings = sections.strings(endian, bytes, link).ok()?;
    for entry in dynamic {
        let value = || text(entry.string(endian, strings).ok()?);
        match entry.tag(endian) {
            elf::DT_NEEDED => needs.libraries.extend(value()),
            elf::DT_RPATH | elf::DT_RUNPATH => {
                let origin = path.parent()?.to_str()?;
                let list = value().unwrap_or_default();
                let list = list.replace("${ORIGIN}", origin).replace("$ORIGIN", origin);
                needs
                    .directories
                    .extend(list.split(':').filter(|part| part.starts_with('/')).map(PathBuf::from));
            }
            _ => {}
        }
    }
    Some(needs)
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

/// The loader's directories: its own, and those of its configuration.
fn search_directories() -> Vec<PathBuf> {
    let mut directories = Vec::new();
    configured(Path::new("/etc/ld.so.conf"), &mut directories, 0);
    directories.extend(DEFAULT.iter().map(PathBuf::from));
    directories
}

fn configured(file: &Path, directories: &mut Vec<PathBuf>, depth: u8) {
    let Ok(text) = fs::read_to_string(file) else { return };
    for line in text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
        match line.strip_prefix("include") {
            // The one form that distributions use: every .conf of a directory.
            Some(pattern) if depth < 4 => {
                let Some(directory) = Path::new(pattern.trim()).parent() else { continue };
                let directory = Path::new("/etc").join(directory);
                let mut files: Vec<_> =
                    fs::read_dir(directory).into_iter().flatten().flatten().map(|e| e.path()).collect();
                files.sort();
                for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "conf")) {
                    configured(file, directories, depth + 1);
                }
            }
            None if line.starts_with('/') => directories.push(line.into()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_brings_its_loader_and_its_libraries() {
        let found = closure([PathBuf::from("/bin/sh")]);
        let names: Vec<_> = found.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        assert!(names.iter().any(|name| name.starts_with("ld-")), "{names:?}");
        assert!(names.iter().any(|name| name.starts_with("libc.") || name.starts_with("libc-")), "{names:?}");
    }
}
