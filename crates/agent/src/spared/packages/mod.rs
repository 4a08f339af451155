//! What the machine's package databases say: which files belong to a package, and what they must hold.

mod dpkg;
mod rpm;
mod stamp;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use glob::Pattern;
pub use model::origin::Database;
use model::{Digests, Md5, Sha1, Sha256};

pub(crate) use stamp::Stamp;

/// What a package says that a file must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) database: Database,
    pub(super) package: String,
    digest: Digest,
}

/// A file as its package names it. Its directory may lie elsewhere by now.
pub(crate) struct Brought<'p> {
    /// With or without a slash at its end.
    pub(crate) directory: &'p [u8],
    pub(crate) name: &'p [u8],
    /// What it must hold, where the package says that.
    pub(crate) digest: Option<Digest>,
}

/// A package that is installed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Installed {
    pub(crate) database: Database,
    pub(crate) name: String,
    pub(crate) version: String,
    /// Its vendor, else whoever maintains it, without an address; may be empty.
    pub(crate) vendor: String,
}

/// Which digest a package has of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Digest {
    Md5(Md5),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Recorded {
    /// Whether that is what it holds.
    pub(super) fn is_of(&self, digests: &Digests) -> bool {
        match &self.digest {
            Digest::Md5(md5) => *md5 == digests.md5,
            Digest::Sha1(sha1) => *sha1 == digests.sha1,
            Digest::Sha256(sha256) => *sha256 == digests.sha256,
        }
    }
}

/// Packages whose programs are spared as a whole, by the patterns of their names.
pub(super) struct Chosen {
    dpkg: Vec<Pattern>,
    rpm: Vec<Pattern>,
}

impl Chosen {
    /// Names as each distribution uses them.
    pub(super) fn new(dpkg: &[&str], rpm: &[&str]) -> Self {
        let patterns = |names: &[&str]| names.iter().filter_map(|name| Pattern::new(name).ok()).collect();
        Self { dpkg: patterns(dpkg), rpm: patterns(rpm) }
    }
}

/// A file of a package, and what makes the package necessary.
pub(super) type Owned = (PathBuf, String);

/// The databases of this machine.
#[derive(Default)]
pub(crate) struct Packages {
    dpkg: Option<dpkg::Dpkg>,
    rpm: Vec<rpm::Headers>,
    /// Databases that are there and can't be read, and why: what they record is not known.
    pub(crate) unreadable: Vec<String>,
}

impl Packages {
    /// Reads those that are there.
    pub(crate) fn read() -> Self {
        let mut packages = Self::default();
        match dpkg::Dpkg::read(Path::new(dpkg::PLACE)) {
            Ok(dpkg) => packages.dpkg = dpkg,
            Err(error) => packages.unreadable.push(format!("dpkg's database in {}: {error}", dpkg::PLACE)),
        }
        for path in rpm::databases() {
            match rpm::Headers::read(&path) {
                Ok(headers) => packages.rpm.push(headers),
                Err(error) => packages.unreadable.push(format!("rpm's database {}: {error}", path.display())),
            }
        }
        packages
    }

    /// The files of packages without which no package could be installed: those that say so of themselves, and those
    /// that are chosen.
    pub(super) fn files(&self, chosen: &Chosen) -> Vec<Owned> {
        let dpkg = self.dpkg.iter().flat_map(|dpkg| dpkg.files(&chosen.dpkg));
        dpkg.chain(self.rpm.iter().flat_map(|rpm| rpm.files(&chosen.rpm))).collect()
    }

    /// Hands over each package with each of its files that may be executed or loaded: none of the others, and perhaps
    /// a directory.
    pub(crate) fn brought(&self, note: &mut impl FnMut(&Installed, &Brought<'_>)) {
        if let Some(dpkg) = &self.dpkg {
            dpkg.brought(note);
        }
        for rpm in &self.rpm {
            rpm.brought(note);
        }
    }

    /// What packages say of each of `paths`, which are canonical. Several may own one: for two architectures, or of
    /// two versions while one replaces the other.
    pub(super) fn recorded(&self, paths: &BTreeSet<PathBuf>) -> BTreeMap<PathBuf, Vec<Recorded>> {
        let mut wanted = wanted::Wanted::new(paths);
        let mut found: BTreeMap<PathBuf, Vec<Recorded>> = BTreeMap::new();
        let mut note =
            |path: &Path, recorded: Recorded| found.entry(path.to_owned()).or_default().push(recorded);
        if let Some(dpkg) = &self.dpkg {
            dpkg.recorded(&mut wanted, &mut note);
        }
        for rpm in &self.rpm {
            rpm.recorded(&mut wanted, &mut note);
        }
        found
    }
}

/// Directories in which no package keeps what is executed.
const NO_PROGRAMS: &[&str] = &[
    "/usr/share/doc/",
    "/usr/share/man/",
    "/usr/share/locale/",
    "/usr/share/info/",
    "/usr/share/lintian/",
    "/usr/share/bug/",
    "/usr/share/zoneinfo/",
    "/usr/share/i18n/",
    "/usr/share/licenses/",
    "/usr/share/bash-completion/",
    "/usr/share/zsh/",
    "/usr/share/terminfo/",
    "/usr/lib/locale/",
    "/usr/lib/.build-id/",
    "/usr/include/",
];

fn may_be_program(path: &Path) -> bool {
    may_hold_programs(path.as_os_str().as_encoded_bytes())
}

/// The same of a path's bytes, or of a directory's that end with a slash.
fn may_hold_programs(path: &[u8]) -> bool {
    !NO_PROGRAMS.iter().any(|place| path.starts_with(place.as_bytes()))
}

/// The name of whoever is given as `Name <address>`.
fn without_address(who: &str) -> String {
    who.split('<').next().unwrap_or_default().trim().trim_matches('"').to_owned()
}
