//! The operator key: whoever has its private half may let go on what the brake of a machine holds. Made at the first start,
//! kept beside the store until somebody takes it away to where no thief of the server finds it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use model::hold::Approval;
use sha2::{Digest, Sha256};
use wire::link::holds::signed_bytes;
use wire::link::v1;

/// The private half's name in the data directory.
const FILE: &str = "operator-key.pem";

/// The whole key.
pub struct OperatorKey(SigningKey);

impl OperatorKey {
    /// Where the private half is, if nobody took it away.
    pub fn path(data_dir: &Path) -> PathBuf {
        data_dir.join(FILE)
    }

    /// Reads the private half.
    ///
    /// # Errors
    /// When the file is not there or holds no key.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let pem = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let key = SigningKey::from_pkcs8_pem(&pem);
        Ok(Self(key.map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?))
    }

    /// Makes one in the data directory: whole or not at all, and readable by nobody else at any moment.
    pub(crate) fn make(data_dir: &Path) -> anyhow::Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(io::Error::other)?;
        let key = Self(SigningKey::from_bytes(&secret));
        let unfinished = data_dir.join("operator-key.pem.new");
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        key.write(&unfinished)?;
        fs::rename(&unfinished, Self::path(data_dir))?;
        File::open(data_dir)?.sync_all()?;
        Ok(key)
    }

    /// Writes the private half to a new file that only its owner reads: durable when it returns.
    ///
    /// # Errors
    /// When the file is there already or can't be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let pem = self.0.to_pkcs8_pem(LineEnding::LF).map_err(|error| anyhow::anyhow!("{error}"))?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .with_context(|| path.display().to_string())?;
        file.write_all(pem.as_bytes())?;
        file.sync_all()?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(())
    }

    /// The public half.
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Signs an approval.
    pub fn sign(&self, approval: &Approval) -> v1::SignedApproval {
        let signature = self.0.sign(&signed_bytes(approval)).to_bytes().to_vec();
        v1::SignedApproval { signature, ..approval.into() }
    }
}

/// The key's name, as people compare it.
pub fn fingerprint(key: &[u8; 32]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(key)[..16])
}

/// Whether the key has signed it.
pub fn has_signed(key: &[u8; 32], approval: &Approval, signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (VerifyingKey::from_bytes(key), Signature::from_slice(signature)) else {
        return false;
    };
    key.verify_strict(&signed_bytes(approval), &signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::hold::Held;
    use model::{ActId, FileId, HoldId, MachineId, OrderId, OrganizationId, Sha1, Time};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_kept_for_its_owner_and_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let made = OperatorKey::make(dir.path()).unwrap();
        let path = OperatorKey::path(dir.path());
        assert_eq!(OperatorKey::read(&path).unwrap().public(), made.public());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(made.write(&path).is_err(), "a key that is there");
        let elsewhere = dir.path().join("usb");
        made.write(&elsewhere).unwrap();
        assert_eq!(OperatorKey::read(&elsewhere).unwrap().public(), made.public());
        fs::write(&elsewhere, "no key").unwrap();
        let error = OperatorKey::read(&elsewhere).err().unwrap().to_string();
        assert!(error.contains("usb"), "{error}");
    }

    #[test]
    fn what_it_signs_is_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let key = OperatorKey::make(dir.path()).unwrap();
        let approval = Approval {
            organization: OrganizationId::random(),
            machine: MachineId([1; 20]),
            hold: HoldId::random(),
            what: Held::Quarantine {
                act: ActId::random(),
                order: OrderId::random(),
                file: FileId::Sha1(Sha1([1; 20])),
            },
            until: Time::from_seconds(7),
            comment: "known".to_owned(),
        };
        let signed = key.sign(&approval);
        let carried = wire::link::holds::signed_approval_text(&signed);
        let carried = wire::link::holds::signed_approval_of_text(&carried).unwrap();
        assert_eq!(Approval::try_from(&carried), Ok(approval.clone()));
        assert!(has_signed(&key.public(), &approval, &carried.signature));
        let other = Approval { comment: "unknown".to_owned(), ..approval };
        assert!(!has_signed(&key.public(), &other, &carried.signature));
    }
}
