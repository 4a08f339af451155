//! The operator key: whoever has its private half may let go on what the brake of a machine holds. Made at the first start,
//! kept beside the store until somebody takes it away to where no thief of the server finds it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use model::OrganizationId;
use model::hold::{Approval, KeyChange, OperatorKey as Public};
use sha2::{Digest, Sha256};
use wire::link::holds::{key_change_bytes, signed_bytes};
use wire::link::v1;

/// The private half's name in the data directory.
const FILE: &str = "operator-key.pem";
/// That of the one which is about to follow.
const NEXT: &str = "operator-key.pem.next";
/// That of the one which takes the place of a lost one at the server's next start.
const REPLACEMENT: &str = "operator-key.pem.replacement";

/// The whole key.
pub struct OperatorKey(SigningKey);

impl OperatorKey {
    /// Where the private half is, if nobody took it away.
    pub fn path(data_dir: &Path) -> PathBuf {
        data_dir.join(FILE)
    }

    /// Where the private half of the next one is while it takes its place.
    pub fn next_path(data_dir: &Path) -> PathBuf {
        data_dir.join(NEXT)
    }

    /// Where the private half is put that takes the place of a lost one at the server's next start. No machine follows it by
    /// itself.
    pub fn replacement_path(data_dir: &Path) -> PathBuf {
        data_dir.join(REPLACEMENT)
    }

    /// Gives the next one, which counts already, the place and the owner of the one before: durable when it returns.
    ///
    /// # Errors
    /// When that fails; it can be tried again.
    pub fn settle_next(data_dir: &Path) -> io::Result<()> {
        let (next, place) = (Self::next_path(data_dir), Self::path(data_dir));
        if let Ok(before) = fs::metadata(&place) {
            std::os::unix::fs::chown(&next, Some(before.uid()), Some(before.gid()))?;
        }
        Self::settle(data_dir, &next)
    }

    /// Gives a private half in the data directory its place there: durable when it returns.
    pub(crate) fn settle(data_dir: &Path, from: &Path) -> io::Result<()> {
        fs::rename(from, Self::path(data_dir))?;
        File::open(data_dir)?.sync_all()
    }

    /// Puts the private half where it takes the place of a lost one, for who owns the data directory: whole or not at all,
    /// and durable when it returns.
    ///
    /// # Errors
    /// When one is there already or it can't be written.
    pub fn write_replacement(&self, data_dir: &Path) -> anyhow::Result<()> {
        let place = Self::replacement_path(data_dir);
        let unfinished = data_dir.join("operator-key.pem.replacement.new");
        remove_unfinished(&unfinished)?;
        self.write(&unfinished)?;
        let owner = fs::metadata(data_dir)?;
        std::os::unix::fs::chown(&unfinished, Some(owner.uid()), Some(owner.gid()))?;
        // Unlike a rename it replaces nothing.
        let linked = fs::hard_link(&unfinished, &place).with_context(|| place.display().to_string());
        fs::remove_file(&unfinished)?;
        linked?;
        Ok(File::open(data_dir)?.sync_all()?)
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
        let key = Self::new()?;
        let unfinished = data_dir.join("operator-key.pem.new");
        remove_unfinished(&unfinished)?;
        key.write(&unfinished)?;
        Self::settle(data_dir, &unfinished)?;
        Ok(key)
    }

    /// Makes one that is nowhere yet.
    ///
    /// # Errors
    /// When the kernel gives no random bits.
    pub fn new() -> anyhow::Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(io::Error::other)?;
        Ok(Self(SigningKey::from_bytes(&secret)))
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
    pub fn public(&self) -> Public {
        self.0.verifying_key().to_bytes()
    }

    /// Says that another key follows this one.
    pub fn sign_change(&self, organization: OrganizationId, to: &Public) -> KeyChange {
        let from = self.public();
        let signature = self.0.sign(&key_change_bytes(organization, &from, to)).to_bytes().to_vec();
        KeyChange { from, to: *to, signature }
    }

    /// Signs an approval.
    pub fn sign(&self, approval: &Approval) -> v1::SignedApproval {
        let signature = self.0.sign(&signed_bytes(approval)).to_bytes().to_vec();
        v1::SignedApproval { signature, ..approval.into() }
    }
}

/// What was cut short before.
fn remove_unfinished(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The key's name, as people compare it.
pub fn fingerprint(key: &Public) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(key)[..16])
}

/// Whether the key has signed it.
pub fn has_signed(key: &Public, approval: &Approval, signature: &[u8]) -> bool {
    is_signature(key, &signed_bytes(approval), signature)
}

/// Whether the key before has signed the change.
pub(crate) fn has_signed_change(organization: OrganizationId, change: &KeyChange) -> bool {
    let bytes = key_change_bytes(organization, &change.from, &change.to);
    is_signature(&change.from, &bytes, &change.signature)
}

/// Whether it is a key that can sign.
pub(crate) fn may_sign(key: &Public) -> bool {
    VerifyingKey::from_bytes(key).is_ok_and(|key| !key.is_weak())
}

fn is_signature(key: &Public, bytes: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (VerifyingKey::from_bytes(key), Signature::from_slice(signature)) else {
        return false;
    };
    key.verify_strict(bytes, &signature).is_ok()
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

    #[tokio::test]
    async fn at_each_start_the_key_that_counts_is_the_one_that_lies_there() {
        let dir = tempfile::tempdir().unwrap();
        let clock = std::sync::Arc::new(crate::clock::SystemClock);
        let store = crate::store::Store::open(dir.path(), clock).unwrap();
        let organization = store.home("host").await.unwrap().organization;
        let start = || crate::keep_operator_key(&store, dir.path(), organization);
        let now = async || store.operator_key(organization).await.unwrap().unwrap();
        let lies = || OperatorKey::read(&OperatorKey::path(dir.path())).unwrap();
        start().await.unwrap();
        let first = lies();
        assert_eq!(now().await, first.public());

        // A rotation that was cut short after it counted.
        let second = OperatorKey::new().unwrap();
        second.write(&OperatorKey::next_path(dir.path())).unwrap();
        let change = first.sign_change(organization, &second.public());
        store.change_operator_key(organization, None, change, "yearly").await.unwrap();
        start().await.unwrap();
        assert_eq!((lies().public(), now().await), (second.public(), second.public()));
        assert!(!OperatorKey::next_path(dir.path()).exists());

        // One that counts no more hinders nobody; one that never did is a mistake.
        let path = OperatorKey::path(dir.path());
        fs::remove_file(&path).unwrap();
        first.write(&path).unwrap();
        start().await.unwrap();
        fs::remove_file(&path).unwrap();
        OperatorKey::new().unwrap().write(&path).unwrap();
        let error = start().await.unwrap_err().to_string();
        assert!(error.contains("is not the operator key") && error.contains("pem.replacement"), "{error}");

        // The private half is lost.
        fs::remove_file(&path).unwrap();
        let third = OperatorKey::new().unwrap();
        fs::write(OperatorKey::replacement_path(dir.path()), "half of a k").unwrap();
        start().await.unwrap();
        assert_eq!(now().await, second.public(), "one that can't be read hinders nobody");
        assert!(third.write_replacement(dir.path()).is_err(), "nothing is replaced");
        fs::remove_file(OperatorKey::replacement_path(dir.path())).unwrap();
        third.write_replacement(dir.path()).unwrap();
        assert_eq!(
            fs::read_dir(dir.path())
                .unwrap()
                .flatten()
                .filter(|file| { file.file_name().to_string_lossy().starts_with("operator-key") })
                .count(),
            1
        );
        for _ in 0..2 {
            start().await.unwrap();
            assert_eq!((lies().public(), now().await), (third.public(), third.public()));
        }
        assert!(!OperatorKey::replacement_path(dir.path()).exists());
        let changes = store.operator_key_changes(organization).await.unwrap();
        assert_eq!(changes.iter().map(|one| one.signature.is_empty()).collect::<Vec<_>>(), [false, true]);
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
