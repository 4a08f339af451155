//! The ready file: how to reach a server, and as whom. `up` writes it, clients and tests read it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How to reach a server, and as whom. Holds a secret, so it has no `Debug`.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Profile {
    /// Scheme and host of the API.
    pub(crate) base_url: String,
    /// Where tokens are issued, in the dialect with `scope`.
    pub(crate) token_url: String,
    /// The organization.
    #[serde(default)]
    pub(crate) tenant_id: String,
    /// The application.
    pub(crate) client_id: String,
    /// Its secret.
    pub(crate) client_secret: String,
    /// This machine.
    #[serde(default)]
    pub(crate) machine_id: String,
    /// Where all of it is kept.
    #[serde(default)]
    pub(crate) data_dir: PathBuf,
}

/// The name of the profile within a data directory.
pub(crate) const NAME: &str = "profile.json";

impl Profile {
    /// Reads one; keys it does not know are left alone.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read(path)?;
        serde_json::from_slice(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_left_alone_and_missing_ones_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ready.json");
        fs::write(&path, r#"{"baseUrl":"b","tokenUrl":"t","clientId":"c","clientSecret":"s","caFile":"x"}"#)
            .unwrap();
        assert!(Profile::read(&path).is_ok());
        fs::write(&path, r#"{"baseUrl":"b"}"#).unwrap();
        let error = Profile::read(&path).err().unwrap().to_string();
        assert!(error.contains("tokenUrl"), "{error}");
    }
}
