//! rpm's databases: sqlite, ndb and the Berkeley DB hash of older releases. Each is a store of package headers.

mod bdb;
mod bytes;
mod header;
mod ndb;
mod sqlite;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use glob::Pattern;

use super::wanted::Wanted;
use super::{
    Brought, Database, Installed, Owned, Recorded, may_be_program, may_hold_programs, without_address,
};
use header::Header;

/// Where distributions keep it: the usual place, the one of SUSE and newer Fedoras, and that of rpm-ostree.
const PLACES: &[&str] = &["/var/lib/rpm", "/usr/lib/sysimage/rpm", "/usr/share/rpm"];
/// Where packages stand that dnf and yum refuse to remove, one or more a file.
const PROTECTED: &[&str] = &["/etc/dnf/protected.d", "/etc/yum/protected.d"];
/// No database is larger; the largest that were seen have some hundred MiB.
const LARGEST: u64 = 1 << 30;
/// Nor has any more packages.
const MOST: usize = 100_000;
/// Nor is any package's header longer; the kernel's is some MiB.
const LONGEST: usize = 64 << 20;

/// The databases of this machine: one, unless it is being moved or converted.
pub(super) fn databases() -> BTreeSet<PathBuf> {
    let names = ["rpmdb.sqlite", "Packages.db", "Packages"];
    let paths = PLACES.iter().flat_map(|place| names.iter().map(move |name| Path::new(place).join(name)));
    paths.filter_map(|path| path.canonicalize().ok()).filter(|path| path.is_file()).collect()
}

/// The headers of the packages that are installed.
pub(super) struct Headers(Vec<Vec<u8>>);

impl Headers {
    /// Reads a database, which is known by what it begins with.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() > LARGEST {
            return Err(malformed("it is too large to be one"));
        }
        let mut head = [0; 32];
        let length = file.read(&mut head)?;
        let headers = match &head[..length] {
            head if head.starts_with(sqlite::MAGIC) => sqlite::headers(path)?,
            head if head.starts_with(ndb::MAGIC) => ndb::headers(&fs::read(path)?)?,
            head if bdb::order(head).is_some() => bdb::headers(&fs::read(path)?)?,
            _ => return Err(malformed("it is of no known form")),
        };
        Ok(Self(headers))
    }

    fn parsed(&self) -> impl Iterator<Item = Header<'_>> {
        self.0.iter().filter_map(|bytes| Header::parse(bytes))
    }

    /// The files of protected packages, and of those with such names.
    pub(super) fn files(&self, chosen: &[Pattern]) -> Vec<Owned> {
        let protected = protected(PROTECTED.iter().map(Path::new));
        let mut files = Vec::new();
        for header in self.parsed() {
            let name = header.name();
            let why = if protected.contains(&name) {
                format!("part of the protected package {name}")
            } else if chosen.iter().any(|pattern| pattern.matches(&name)) {
                format!("part of the package {name}")
            } else {
                continue;
            };
            let paths =
                header.files().map(|file| wire::link::things::path_of([file.directory, file.name].concat()));
            files.extend(paths.filter(|path| may_be_program(path)).map(|path| (path, why.clone())));
        }
        files
    }

    /// What packages say of the wanted files.
    pub(super) fn recorded(&self, wanted: &mut Wanted<'_>, note: &mut impl FnMut(&Path, Recorded)) {
        for header in self.parsed() {
            let algorithm = header.algorithm();
            for file in header.files() {
                let Some(path) = wanted.find(file.directory, file.name) else { continue };
                if let Some(digest) = algorithm.read(file.digest) {
                    note(path, Recorded { database: Database::Rpm, package: header.name(), digest });
                }
            }
        }
    }
}

impl Headers {
    /// Each package with the files that it brought.
    pub(super) fn brought(&self, note: &mut impl FnMut(&Installed, &Brought<'_>)) {
        for header in self.parsed() {
            let algorithm = header.algorithm();
            let installed = Installed {
                database: Database::Rpm,
                name: header.name(),
                version: header.version(),
                vendor: without_address(&header.vendor()),
            };
            // What has no digest is a directory or a link.
            let files = header.files().filter(|file| !file.digest.is_empty());
            for file in files.filter(|file| may_hold_programs(file.directory)) {
                let digest = algorithm.read(file.digest);
                note(&installed, &Brought { directory: file.directory, name: file.name, digest });
            }
        }
    }
}

/// The packages that files in these directories name.
fn protected<'p>(places: impl Iterator<Item = &'p Path>) -> BTreeSet<String> {
    let files = places.filter_map(|place| fs::read_dir(place).ok()).flatten().flatten();
    let texts = files.filter_map(|file| fs::read_to_string(file.path()).ok());
    let names = texts.flat_map(|text| {
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim().to_owned());
        lines.collect::<Vec<_>>()
    });
    names.filter(|name| !name.is_empty()).collect()
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests;
