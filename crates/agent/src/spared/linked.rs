//! What programs can't run without: their loader, their libraries and the libraries of these; of scripts the
//! interpreter.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use object::elf;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, FileKind, ReadCache, ReadRef};

use super::scripts;

/// Directories that the loader searches where nothing else is said.
const DEFAULT: &[&str] = &["/lib64", "/usr/lib64", "/lib", "/usr/lib"];
/// Below each directory, libraries for newer processors.
const NEWER: &str = "glibc-hwcaps";
/// No program on the list is larger; a sparse or lying one is not read.
const LARGEST: u64 = 1 << 30;
/// No program is linked with more.
const MOST: usize = 10_000;

/// Programs, by their canonical paths, and why each is wanted.
pub(super) type Wanted = BTreeMap<PathBuf, String>;

/// The programs and all that they are linked with or read by.
pub(super) fn closure(programs: impl IntoIterator<Item = (PathBuf, String)>) -> Wanted {
    let mut search = Search::new();
    let mut found = Wanted::new();
    let mut next: Vec<(PathBuf, String)> = programs.into_iter().collect();
    // What is taken last comes first: reasons are those of the first that names a file.
    next.reverse();
    while let Some((path, why)) = next.pop() {
        let Ok(path) = path.canonicalize() else { continue };
        if !path.is_file() || found.contains_key(&path) || found.len() >= MOST {
            continue;
        }
        let needs = needs(&path);
        search.add(&needs.directories);
        let linked = needs.libraries.iter().flat_map(|name| search.find(&needs.directories, name));
        let reason = |verb: &str| format!("{verb} {}", path.display());
        next.extend(linked.map(|library| (library, reason("linked with"))));
        next.extend(needs.interpreters.into_iter().map(|program| (program, reason("runs"))));
        found.insert(path, why);
    }
    found
}

/// Libraries by their names, wherever the loader would find them.
pub(super) fn libraries(names: &[&str]) -> Vec<PathBuf> {
    let search = Search::new();
    names.iter().flat_map(|name| search.find(&[], name)).collect()
}

/// What one file asks for.
#[derive(Debug, Default)]
struct Needs {
    interpreters: Vec<PathBuf>,
    libraries: Vec<String>,
    directories: Vec<PathBuf>,
}

fn needs(path: &Path) -> Needs {
    let Some(file) = open(path) else { return Needs::default() };
    let bytes = ReadCache::new(&file);
    let needs = match FileKind::parse(&bytes) {
        Ok(FileKind::Elf64) => read::<elf::FileHeader64<Endianness>, _>(path, &bytes),
        Ok(FileKind::Elf32) => read::<elf::FileHeader32<Endianness>, _>(path, &bytes),
        _ => Some(Needs { interpreters: scripts::interpreters(&file), ..Needs::default() }),
    };
    needs.unwrap_or_default()
}

fn open(path: &Path) -> Option<File> {
    let file = File::open(path).ok()?;
    let stat = file.metadata().ok()?;
    (stat.is_file() && stat.len() <= LARGEST).then_some(file)
}

fn read<'b, Header: FileHeader<Endian = Endianness>, R: ReadRef<'b>>(path: &Path, bytes: R) -> Option<Needs> {
    let header = Header::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let mut needs = Needs::default();
    for segment in header.program_headers(endian, bytes).ok()? {
        if let Ok(Some(interpreter)) = segment.interpreter(endian, bytes) {
            needs.interpreters.push(PathBuf::from(text(interpreter)?));
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

/// Where libraries are looked for.
struct Search {
    directories: Vec<PathBuf>,
    known: BTreeSet<PathBuf>,
}

impl Search {
    /// The loader's directories: its own, and those of its configuration.
    fn new() -> Self {
        let mut directories = Vec::new();
        configured(Path::new("/etc/ld.so.conf"), &mut directories, 0);
        directories.extend(DEFAULT.iter().map(PathBuf::from));
        let mut search = Self { directories: Vec::new(), known: BTreeSet::new() };
        search.add(&directories);
        search
    }

    /// A program's own directories hold for its libraries, too.
    fn add(&mut self, directories: &[PathBuf]) {
        for directory in directories.iter().filter_map(|directory| directory.canonicalize().ok()) {
            if self.known.insert(directory.clone()) {
                let newer = fs::read_dir(directory.join(NEWER)).into_iter().flatten().flatten();
                self.directories.extend(newer.map(|level| level.path()));
                self.directories.push(directory);
            }
        }
    }

    /// Every library of that name: which of them is taken depends on the processor and on who loads it.
    fn find<'s>(&'s self, own: &'s [PathBuf], name: &'s str) -> impl Iterator<Item = PathBuf> + use<'s> {
        let named = (name.contains('/')).then(|| PathBuf::from(name));
        let places = own.iter().chain(&self.directories).map(move |directory| directory.join(name));
        named.into_iter().chain(places).filter(|path| path.exists())
    }
}

fn configured(file: &Path, directories: &mut Vec<PathBuf>, depth: u8) {
    let Ok(text) = fs::read_to_string(file) else { return };
    for line in text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
        match line.strip_prefix("include") {
            Some(pattern) if depth < 4 => {
                let pattern = Path::new("/etc").join(pattern.trim());
                let files = pattern.to_str().and_then(|pattern| glob::glob(pattern).ok());
                for file in files.into_iter().flatten().flatten() {
                    configured(&file, directories, depth + 1);
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
        let found = closure([(PathBuf::from("/bin/sh"), "shell".to_owned())]);
        let names: Vec<_> = found.keys().filter_map(|path| path.file_name()?.to_str()).collect();
        assert!(names.iter().any(|name| name.starts_with("ld-")), "{names:?}");
        assert!(names.iter().any(|name| name.starts_with("libc.") || name.starts_with("libc-")), "{names:?}");
        let reason = found.values().any(|why| why.starts_with("linked with /"));
        assert!(reason && found.values().any(|why| why == "shell"), "{found:?}");
    }

    #[test]
    fn a_script_brings_its_interpreter_with_its_libraries() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().canonicalize().unwrap().join("script");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        let found = closure([(script.clone(), "test".to_owned())]);
        let shell = Path::new("/bin/sh").canonicalize().unwrap();
        assert_eq!(found[&shell], format!("runs {}", script.display()));
        assert!(found.len() > 3, "{found:?}");
    }

    #[test]
    fn libraries_for_newer_processors_count() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let newer = dir.join(NEWER).join("x86-64-v3");
        fs::create_dir_all(&newer).unwrap();
        for library in [dir.join("libx.so.1"), newer.join("libx.so.1")] {
            fs::write(library, "").unwrap();
        }
        let mut search = Search::new();
        search.add(std::slice::from_ref(&dir));
        let found: Vec<_> = search.find(&[], "libx.so.1").collect();
        assert_eq!(found, [newer.join("libx.so.1"), dir.join("libx.so.1")]);
    }
}
