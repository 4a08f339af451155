//! Where a copy comes from: the package that brought it, by the records of its machine.

/// A kind of package database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Database {
    /// Debian's.
    Dpkg,
    /// Of rpm, in any of its forms.
    Rpm,
}

impl Database {
    /// In a word.
    pub const fn word(self) -> &'static str {
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

/// The package that owns the path of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Who records it.
    pub database: Database,
    /// Its name.
    pub package: String,
    /// Its version, as the database writes it: with epoch and release where it has them.
    pub version: String,
    /// Its vendor, else whoever maintains it: a name without an address.
    pub vendor: Option<String>,
    /// Whether the copy holds what the package brought; none when nobody knows: the package has no digest of it, or
    /// packages are being changed.
    pub matches: Option<bool>,
}

impl Origin {
    /// No name or version is longer, in bytes.
    pub const LONGEST: usize = 256;

    /// Whether both are of the same version of the same package.
    pub fn is_of_same_package(&self, other: &Self) -> bool {
        (self.database, &self.package, &self.version, &self.vendor)
            == (other.database, &other.package, &other.version, &other.vendor)
    }
}
