//! Where a copy comes from, our own.

use model::origin::Origin;
use serde::Serialize;

/// The package that owns the path of a copy, by its machine's word.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageOrigin {
    /// Whose package: `dpkg` or `rpm`.
    pub kind: &'static str,
    /// Its name.
    pub package: String,
    /// Its version, as the database writes it.
    pub version: String,
    /// Its vendor, else whoever maintains it.
    pub vendor: Option<String>,
    /// Whether the copy is what the package brought; null when that is not known.
    pub matches: Option<bool>,
}

/// The same of a file, with the number of machines where it comes from there.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileOrigin {
    /// The package.
    #[serde(flatten)]
    pub origin: PackageOrigin,
    /// On how many machines.
    pub machines: u64,
}

impl From<Origin> for PackageOrigin {
    fn from(origin: Origin) -> Self {
        let Origin { database, package, version, vendor, matches } = origin;
        Self { kind: database.word(), package, version, vendor, matches }
    }
}
