use std::io::{Cursor, Read};
use std::os::unix::fs::PermissionsExt;

use model::{Digests, Md5, Sha1};

use super::*;

fn digests(bytes: &[u8]) -> Digests {
    use sha2::Digest;
    let sha256 = Sha256(sha2::Sha256::digest(bytes).into());
    let sha1 = Sha1(sha1::Sha1::digest(bytes).into());
    Digests { sha256, sha1, md5: Md5([1; 16]) }
}

fn samples() -> (tempfile::TempDir, Samples) {
    let dir = tempfile::tempdir().unwrap();
    let samples = Samples::open(dir.path(), Limits::default()).unwrap();
    (dir, samples)
}

#[tokio::test]
async fn what_was_cut_short_goes_on_and_leaves_behind_a_password() {
    let (dir, samples) = samples();
    let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let (organization, act, names) = (OrganizationId::random(), ActId::random(), digests(&bytes));
    let open = || Arriving::open(&samples, organization, act, names, bytes.len() as u64).unwrap();
    let mut arriving = open();
    arriving.write(bytes[..70_000].to_vec()).unwrap();
    drop(arriving);
    let mut arriving = open();
    assert_eq!(arriving.at, 70_000);
    arriving.write(bytes[70_000..].to_vec()).unwrap();
    assert!(arriving.check().unwrap());
    arriving.keep(async { Ok::<_, io::Error>(()) }).await.unwrap();

    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let place = samples.place(organization, names.sha256);
    assert_eq!((mode(&dir.path().join("samples")), mode(&place)), (0o700, 0o600));
    let lies = std::fs::read(&place).unwrap();
    assert!(lies.len() == bytes.len() && lies[..64] != bytes[..64], "it lies there masked");
    let turn = samples.turn((organization, uuid::Uuid::nil())).unwrap();
    let file = samples.read(organization, names.sha256).await.unwrap();
    let archive = axum::body::to_bytes(archive(names.sha256, file, turn), usize::MAX).await.unwrap();
    assert!(!archive.windows(64).any(|window| window == &bytes[4000..4064]), "nothing of it lies open");
    let mut zip = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    assert!(zip.by_index(0).is_err(), "not without the password");
    assert!(zip.by_index_decrypt(0, b"wrong").is_err());
    let mut entry = zip.by_index_decrypt(0, archive::PASSWORD.as_bytes()).unwrap();
    assert_eq!(entry.name().unwrap(), names.sha256.to_string());
    let mut back = Vec::new();
    entry.read_to_end(&mut back).unwrap();
    assert!(back == bytes);
}

#[tokio::test]
async fn what_is_another_file_is_not_kept() {
    let (_dir, samples) = samples();
    let mut arriving =
        Arriving::open(&samples, OrganizationId::random(), ActId::random(), digests(b"one"), 3).unwrap();
    arriving.write(b"two".to_vec()).unwrap();
    assert!(!arriving.check().unwrap());
    arriving.give_up();
    assert!(samples.found().is_empty());
}

#[tokio::test]
async fn what_the_store_does_not_name_is_removed() {
    let (dir, samples) = samples();
    let store = Store::open(dir.path(), Arc::new(crate::clock::SystemClock)).unwrap();
    let organization = OrganizationId::random();
    let mut arriving = Arriving::open(&samples, organization, ActId::random(), digests(b"one"), 3).unwrap();
    arriving.write(b"one".to_vec()).unwrap();
    arriving.keep(async { Ok::<_, io::Error>(()) }).await.unwrap();
    drop(Arriving::open(&samples, organization, ActId::random(), digests(b"two"), 3).unwrap());
    assert_eq!(samples.found().len(), 2);
    samples.sweep(&store).await.unwrap();
    assert!(samples.found().is_empty());
}
