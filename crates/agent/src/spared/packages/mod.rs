//! What the machine's package databases say: which files belong to a package, and what they must hold.

mod dpkg;
mod rpm;
mod stamp;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use glob::Pattern;
use model::{Digests, Md5, Sha1, Sha256};

pub(super) use stamp::Stamp;

/// A kind of package database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Database {
    /// Debian's.
    Dpkg,
    /// Of rpm, in any of its forms.
    Rpm,
}

impl Database {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dpkg => "dpkg",
            Self::Rpm => "rpm",
        }
    }

    /// The database that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Dpkg, Self::Rpm].into_iter().find(|database| database.word() == word)
    }
}

/// What a package says that a file must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) database: Database,
    pub(super) package: String,
    digest: Digest,
}

/// Which digest a package has of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Digest {
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
pub(super) struct Packages {
    dpkg: Option<dpkg::Dpkg>,
    rpm: Vec<rpm::Headers>,
    /// Databases that are there and can't be read, and why: what they record is not known.
    pub(super) unreadable: Vec<String>,
}

impl Packages {
    /// Reads those that are there.
    pub(super) fn read() -> Self {
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
    !NO_PROGRAMS.iter().any(|place| path.as_os_str().as_encoded_bytes().starts_with(place.as_bytes()))
}
