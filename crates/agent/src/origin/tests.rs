use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use model::facts::Facts;
use model::origin::Database;
use model::{Md5, Sha1, Sha256};

use super::gathering::Gathered;
use super::*;
use crate::inventory::{Inventory, Known, Note};
use crate::looking::Looker;
use crate::recorder::Noticed;
use crate::spared::{Brought, Digest, Installed, Packages, Surveyor};

fn digests(byte: u8) -> Digests {
    Digests { sha256: Sha256([byte; 32]), sha1: Sha1([byte; 20]), md5: Md5([byte; 16]) }
}

/// A machine whose packages are told by a file.
struct Machine {
    dir: tempfile::TempDir,
    keeper: Keeper,
    origins: Arc<Origins>,
    inventory: Arc<Inventory>,
    notices: Receiver<Noticed>,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let inventory = Arc::new(Inventory::open(&dir.path().join("inventory")).unwrap());
        let (noticed, notices) = crossbeam_channel::unbounded();
        let looker = Looker {
            inventory: inventory.clone(),
            noticed,
            vouched: Arc::default(),
            large: None,
            read: Arc::default(),
            gathered: None,
        };
        let origins = Arc::new(Origins::default());
        let told = format!("cat {}", dir.path().join("told").display());
        let surveyor = Surveyor(["/bin/sh", "-c", &told].map(Into::into).to_vec());
        let keeper = Keeper::of_parts(surveyor, dir.path().join("origins"), looker, origins.clone());
        Self { dir, keeper, origins, inventory, notices }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn has(&self, name: &str, byte: u8) {
        let known = Known::told(digests(byte), Facts::default());
        self.inventory.note(&[Note::Here(self.path(name), known)]).unwrap();
    }

    /// A package brought these files, of which it has digests or not.
    fn packages(&self, version: &str, files: &[(&str, Option<u8>)]) {
        let installed = Installed {
            database: Database::Dpkg,
            name: "pack".to_owned(),
            version: version.to_owned(),
            vendor: "Somebody".to_owned(),
        };
        let directory = self.path("");
        let directory = directory.as_os_str().as_encoded_bytes();
        let mut gathered = Gathered::default();
        for (name, byte) in files {
            let digest = byte.map(|byte| Digest::Md5(Md5([byte; 16])));
            gathered.add(&installed, &Brought { directory, name: name.as_bytes(), digest });
        }
        let mut told = Vec::new();
        gathered.tell(Vec::new(), &mut told).unwrap();
        fs::write(self.dir.path().join("told"), told).unwrap();
    }

    /// What is told of copies since this was asked last: name, version, and whether it matches.
    fn told(&self) -> Vec<(String, String, Option<bool>)> {
        let mut told: Vec<_> = self
            .notices
            .try_iter()
            .map(|noticed| match noticed {
                Noticed::Origin(path, _, _, origin) => {
                    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                    (name, origin.version, origin.matches)
                }
                other => panic!("{other:?}"),
            })
            .collect();
        told.sort();
        told
    }
}

fn told(name: &str, version: &str, matches: Option<bool>) -> (String, String, Option<bool>) {
    (name.to_owned(), version.to_owned(), matches)
}

#[test]
fn copies_are_told_of_when_packages_have_changed_and_those_that_differ_later() {
    let machine = Machine::new();
    for (name, byte) in [("whole", 1), ("tampered", 9), ("unsummed", 3), ("stranger", 4)] {
        machine.has(name, byte);
    }
    let files = [("whole", Some(1)), ("tampered", Some(2)), ("unsummed", None)];
    machine.packages("1", &files);
    assert_eq!(machine.origins.of(&machine.path("whole"), &digests(1)), None, "nobody has looked yet");
    machine.keeper.renew_now();
    assert_eq!(machine.told(), [told("unsummed", "1", None), told("whole", "1", Some(true))]);
    let origin = machine.origins.of(&machine.path("tampered"), &digests(9)).unwrap();
    assert_eq!((origin.vendor.as_deref(), origin.matches), (Some("Somebody"), None), "it is not said yet");

    machine.keeper.confirm_after(Duration::from_secs(3600));
    assert_eq!(machine.told(), [], "it may be in the middle of a transaction");
    machine.keeper.confirm_after(Duration::ZERO);
    assert_eq!(machine.told(), [told("tampered", "1", Some(false))]);
    machine.keeper.confirm_after(Duration::ZERO);
    assert_eq!(machine.told(), [], "once is enough");

    machine.keeper.renew_now();
    assert_eq!(machine.told(), [], "nothing has changed");
    // What seemed to differ was newer than its records.
    machine.packages("1", &[("whole", Some(1)), ("tampered", Some(9)), ("unsummed", None)]);
    machine.keeper.renew_now();
    assert_eq!(machine.told(), [told("tampered", "1", Some(true))]);
    machine.packages("2", &files);
    machine.keeper.renew_now();
    assert_eq!(machine.told(), [told("unsummed", "2", None), told("whole", "2", Some(true))]);
    machine.keeper.confirm_after(Duration::ZERO);
    assert_eq!(machine.told(), [told("tampered", "2", Some(false))]);

    let kept = Index::open(&machine.dir.path().join("origins")).expect("it is there after a start");
    assert!(kept.find(&machine.path("whole"), &digests(1)).is_some());
}

#[test]
fn a_helper_that_lies_or_fails_changes_nothing() {
    let machine = Machine::new();
    machine.has("whole", 1);
    machine.packages("1", &[("whole", Some(1))]);
    machine.keeper.renew_now();
    machine.told();
    let path = machine.dir.path().join("told");
    let good = fs::read(&path).unwrap();
    for bad in [&b""[..], b"\xff\xff\xff\xff", &good[..good.len() - 1], b"\0\0\0\0", b"rubbish and more"] {
        fs::write(&path, bad).unwrap();
        assert!(machine.keeper.try_renew().is_err(), "{bad:?}");
        let origin = machine.origins.of(&machine.path("whole"), &digests(1));
        assert_eq!(origin.unwrap().matches, Some(true));
    }
    let mut unreadable = Vec::new();
    Gathered::default().tell(vec!["rpm's database".to_owned()], &mut unreadable).unwrap();
    fs::write(&path, unreadable).unwrap();
    assert!(machine.keeper.try_renew().unwrap_err().to_string().contains("rpm's database"));
    assert_eq!(machine.told(), []);
}

#[test]
fn this_machines_own_packages_know_dpkg() {
    if !Path::new("/var/lib/dpkg/status").exists() {
        return println!("not run: needs dpkg");
    }
    let machine = Machine::new();
    let packages = Packages::read();
    assert_eq!(packages.unreadable, Vec::<String>::new());
    let (mut gathered, began) = (Gathered::default(), Instant::now());
    packages.brought(&mut |installed, file| gathered.add(installed, file));
    let mut said = Vec::new();
    gathered.tell(Vec::new(), &mut said).unwrap();
    fs::write(machine.dir.path().join("told"), &said).unwrap();
    let index = machine.keeper.try_renew().map(|()| machine.origins.index().unwrap()).unwrap();
    println!("{} bytes in {:?}", said.len(), began.elapsed());

    let path = Path::new("/usr/bin/dpkg").canonicalize().unwrap();
    let (there, _) =
        crate::digest::hash_plainly(std::os::fd::AsFd::as_fd(&fs::File::open(&path).unwrap())).unwrap();
    let origin = index.find(&path, &there).unwrap();
    let output = std::process::Command::new("dpkg-query")
        .args(["-W", "-f", "${Version}\n${Maintainer}", "dpkg"])
        .output();
    let output = String::from_utf8(output.unwrap().stdout).unwrap();
    let (version, maintainer) = output.split_once('\n').unwrap();
    assert_eq!(
        (origin.database, origin.package.as_str(), origin.version.as_str()),
        (Database::Dpkg, "dpkg", version)
    );
    assert_eq!(origin.matches, Some(true));
    let vendor = origin.vendor.unwrap();
    assert!(maintainer.starts_with(&vendor) && !vendor.contains('<'), "{vendor}");
    assert_eq!(index.find(&path, &digests(1)).unwrap().matches, Some(false), "of another content");
    assert_eq!(index.find(Path::new("/usr/bin/no-such-program"), &there), None);
}
