use std::collections::BTreeMap;

use model::facts::FileType;
use model::{FileId, Md5, Sha1, Sha256};
use proptest::prelude::*;

use super::*;

fn known(byte: u8) -> Known {
    Known {
        digests: Digests { sha256: Sha256([byte; 32]), sha1: Sha1([byte; 20]), md5: Md5([byte; 16]) },
        facts: Facts { size: 7, file_type: FileType::Elf, subtype: Some("Program".to_owned()) },
        device: 0,
        inode: 4,
        ctime_ns: -5,
        directory: 0,
    }
}

#[test]
fn copies_are_found_by_path_and_by_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("inventory");
    let inventory = Inventory::open(&path).unwrap();
    let notes =
        [("/a", 1), ("/b/c", 1), ("/b/d", 2)].map(|(path, byte)| Note::Here(path.into(), known(byte)));
    inventory.note(&notes).unwrap();
    let one = FileId::Sha1(Sha1([1; 20]));
    assert_eq!(inventory.copies_of(&one).unwrap(), [PathBuf::from("/a"), "/b/c".into()]);
    assert_eq!(inventory.at(Path::new("/b/d")), Some(known(2)));
    let below = inventory.pages(inventory.number(Path::new("/b")).unwrap()).flatten();
    assert_eq!(below.filter(|child| child.file.is_some()).count(), 2);

    inventory.note(&[Note::Here("/a".into(), known(2)), Note::Gone("/b/c".into(), 0)]).unwrap();
    inventory.settle().unwrap();
    drop(inventory);
    let inventory = Inventory::open(&path).unwrap();
    assert!(inventory.copies_of(&one).unwrap().is_empty());
    assert_eq!(inventory.copies_of(&FileId::Sha256(Sha256([2; 32]))).unwrap().len(), 2);
    assert_eq!(inventory.len(), 2);
}

#[test]
fn a_damaged_inventory_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("inventory");
    std::fs::write(&path, "no database at all").unwrap();
    assert_eq!(Inventory::open(&path).unwrap().len(), 0);
}

#[test]
fn what_can_not_be_read_is_no_empty_answer_and_a_failure_is_overcome() {
    let dir = tempfile::tempdir().unwrap();
    let inventory = Inventory::open(&dir.path().join("inventory")).unwrap();
    inventory.note(&[Note::Here("/a".into(), known(1))]).unwrap();
    inventory.settle().unwrap();
    *inventory.database.write() = None;
    let one = FileId::Sha1(Sha1([1; 20]));
    assert!(inventory.copies_of(&one).is_err());
    assert!(inventory.note(&[]).is_err());
    assert_eq!(inventory.copies_of(&one).unwrap(), [PathBuf::from("/a")]);
}

fn seat(name: &str, device: u64, point: &str) -> Seat {
    Seat { name: name.into(), device, point: point.into(), root: "/".into() }
}

fn open() -> (tempfile::TempDir, Inventory) {
    let dir = tempfile::tempdir().unwrap();
    let inventory = Inventory::open(&dir.path().join("inventory")).unwrap();
    (dir, inventory)
}

fn here(path: &str, byte: u8, directory: u64) -> Note {
    Note::Here(path.into(), Known { directory, ..known(byte) })
}

fn copies(inventory: &Inventory, byte: u8) -> Vec<String> {
    let found = inventory.copies_of(&FileId::Sha256(Sha256([byte; 32]))).unwrap();
    found.into_iter().map(|path| path.to_str().unwrap().to_owned()).collect()
}

#[test]
fn a_filesystem_is_known_wherever_it_is_mounted() {
    let (_dir, inventory) = open();
    inventory.set_seats(vec![seat("dd", 1, "/"), seat("dx", 2, "/mnt/x")]);
    let on =
        |path: &str, byte, device| Note::Here(path.into(), Known { device, directory: 9, ..known(byte) });
    inventory.note(&[on("/mnt/x/a/f", 1, 2), on("/a/f", 2, 1), on("/mnt/x/a/g", 3, 1)]).unwrap();
    assert_eq!(copies(&inventory, 1), ["/mnt/x/a/f"]);
    assert_eq!(copies(&inventory, 3), [""; 0], "it does not lie on what is known to be mounted there");
    inventory.set_seats(vec![seat("dd", 1, "/")]);
    assert_eq!(copies(&inventory, 1), [""; 0], "it is not there");
    assert_eq!(inventory.len(), 2, "and not gone");
    inventory.set_seats(vec![seat("dd", 1, "/"), seat("dx", 7, "/srv")]);
    assert_eq!(copies(&inventory, 1), ["/srv/a/f"]);
    let known = inventory.at(Path::new("/srv/a/f")).unwrap();
    assert_eq!((known.device, known.directory), (7, 9));
    let moved = inventory.moved();
    assert_eq!(
        (moved[0].told.as_path(), moved[0].now.as_deref()),
        ("/mnt/x".as_ref(), Some("/srv".as_ref()))
    );
    inventory.note(&[Note::Told(moved[0].number, "/srv".into())]).unwrap();
    assert!(inventory.moved().is_empty());
    inventory.set_seats(vec![seat("dd", 1, "/"), seat("dx", 7, "/x")]);
    assert_eq!(inventory.moved()[0].told, Path::new("/srv"));
}

#[test]
fn what_is_in_memory_only_is_lost_with_its_mount() {
    let (_dir, inventory) = open();
    inventory.set_seats(vec![seat("vx", 0, "/mnt/x")]);
    inventory.note(&[here("/mnt/x/f", 1, 2)]).unwrap();
    assert!(inventory.moved().is_empty());
    inventory.set_seats(Vec::new());
    let [moved] = inventory.moved().try_into().unwrap();
    assert!(moved.is_lost && moved.now.is_none());
    inventory.note(&[Note::Forget(moved.number)]).unwrap();
    assert_eq!((inventory.len(), inventory.moved().len()), (0, 0));
}

#[test]
fn directories_that_change_places_keep_what_is_in_them() {
    let (_dir, inventory) = open();
    inventory.note(&[here("/a/f", 1, 10), here("/b/f", 2, 20)]).unwrap();
    let lies = |path: &str, inode| Note::Directory(Directory { path: path.into(), inode, within: 0 });
    inventory.note(&[lies("/b", 10)]).unwrap();
    assert_eq!((copies(&inventory, 1), copies(&inventory, 2).len()), (vec!["/b/f".to_owned()], 0));
    inventory.note(&[lies("/a", 20)]).unwrap();
    assert_eq!(copies(&inventory, 2), ["/a/f"]);
    let told: Vec<_> = inventory.moved().into_iter().map(|moved| (moved.told, moved.now.unwrap())).collect();
    assert_eq!(told, [("/a".into(), "/b".into()), ("/b".into(), "/a".into())]);
    inventory.note(&[lies("/a", 10), lies("/b", 20)]).unwrap();
    assert!(inventory.moved().is_empty(), "all of it is where the server thinks that it is");
}

#[test]
fn a_directory_that_moves_with_another_is_told_by_where_it_was() {
    let (_dir, inventory) = open();
    inventory.note(&[here("/a/b/c/f", 1, 4)]).unwrap();
    let lies = |path: &str, inode| Note::Directory(Directory { path: path.into(), inode, within: 0 });
    // Their inodes were not known yet.
    inventory.note(&[lies("/a", 2), lies("/a/b", 3)]).unwrap();
    inventory.note(&[lies("/x", 2), lies("/y", 3)]).unwrap();
    assert_eq!(copies(&inventory, 1), ["/y/c/f"]);
    let told: Vec<_> = inventory.moved().into_iter().map(|moved| (moved.told, moved.now)).collect();
    assert_eq!(told, [(PathBuf::from("/a/b"), Some("/y".into()))]);
}

#[test]
fn what_nobody_can_reach_or_tell_of_is_forgotten() {
    let (_dir, inventory) = open();
    // A part of a filesystem: nothing says where the whole was mounted.
    let disk = || Seat { root: "/part".into(), ..seat("dd", 1, "/") };
    inventory.set_seats(vec![disk()]);
    let notes = [here("/mnt/x/p/c/f", 1, 60), here("/mnt/x/p/g", 2, 50), here("/r/h", 3, 70)];
    inventory.note(&notes).unwrap();
    // What is mounted over can't be reached, and is met through another mount of it: another has the place of `c`.
    inventory.set_seats(vec![disk(), seat("dx", 2, "/mnt/x")]);
    let other = Directory { path: "/q/c".into(), inode: 70, within: 50 };
    inventory.note(&[Note::Directory(other)]).unwrap();
    let [orphan] = inventory.orphans().try_into().unwrap();
    assert!(inventory.moved().iter().all(|moved| moved.number != orphan), "nobody would ever forget it");
    inventory.note(&[Note::Forget(orphan)]).unwrap();
    assert_eq!((inventory.len(), inventory.orphans().len()), (2, 0));

    // So it is with one in memory.
    let part = Seat { root: "/part".into(), ..seat("vx", 3, "/run/x") };
    inventory.set_seats(vec![disk(), part]);
    let on = |byte| Note::Here("/run/x/f".into(), Known { device: 3, directory: 9, ..known(byte) });
    inventory.note(&[on(4)]).unwrap();
    assert!(inventory.orphans().is_empty());
    inventory.set_seats(vec![disk()]);
    let [orphan] = inventory.orphans().try_into().unwrap();
    inventory.note(&[Note::Forget(orphan)]).unwrap();
    assert_eq!((inventory.len(), inventory.orphans().len()), (2, 0));
}

#[test]
fn names_that_lead_nowhere_end_no_page() {
    let (_dir, inventory) = open();
    let notes: Vec<Note> = (0..1300).map(|number| here(&format!("/d/{number}"), 1, 5)).collect();
    inventory.note(&notes).unwrap();
    let directory = inventory.number(Path::new("/d")).unwrap();
    let all: Vec<u64> = inventory.pages(directory).flatten().map(|child| child.number).collect();
    assert_eq!(all.len(), 1300);
    // More than are looked at in one go.
    let lost = &all[100..1200];
    inventory.write(false, |index| Ok(lost.iter().try_for_each(|number| index.lose(*number))?)).unwrap();
    let left: Vec<u64> = inventory.pages(directory).flatten().map(|child| child.number).collect();
    assert_eq!(left, [&all[..100], &all[1200..]].concat());
}

#[test]
fn where_the_sweep_was_is_kept() {
    let (dir, inventory) = open();
    inventory.note(&[Note::SweptTo(Some("/a\n".into()))]).unwrap();
    inventory.settle().unwrap();
    drop(inventory);
    let inventory = Inventory::open(&dir.path().join("inventory")).unwrap();
    assert_eq!(inventory.swept_to(), Some("/a\n".into()));
    inventory.note(&[Note::SweptTo(None)]).unwrap();
    assert_eq!(inventory.swept_to(), None);
}

/// What happens to a small filesystem whose directories have inodes.
#[derive(Clone, Debug)]
enum Step {
    Write { at: (usize, u8), content: u8 },
    Remove { at: (usize, u8) },
    Make { within: usize, name: u8 },
    Move { which: usize, within: usize, name: u8 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let at = || (0..8_usize, 0..3_u8);
    prop_oneof![
        4 => (at(), 0..6_u8).prop_map(|(at, content)| Step::Write { at, content }),
        2 => at().prop_map(|at| Step::Remove { at }),
        2 => (0..8_usize, 0..3_u8).prop_map(|(within, name)| Step::Make { within, name }),
        3 => (0..8_usize, 0..8_usize, 0..3_u8)
            .prop_map(|(which, within, name)| Step::Move { which, within, name }),
        1 => Just(Step::Restart),
    ]
}

/// Directories by inode: the one above, and the name there. The first is the root.
type Directories = BTreeMap<u64, (u64, String)>;

fn path(directories: &Directories, inode: u64) -> PathBuf {
    match directories.get(&inode) {
        Some((above, name)) => path(directories, *above).join(name),
        None => "/".into(),
    }
}

fn is_within(directories: &Directories, mut inode: u64, other: u64) -> bool {
    while inode != other {
        match directories.get(&inode) {
            Some((above, _)) => inode = *above,
            None => return false,
        }
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn it_knows_what_a_filesystem_holds(steps in proptest::collection::vec(step(), 1..60)) {
        let (dir, mut inventory) = open();
        inventory.set_seats(vec![seat("dd", 0, "/")]);
        let mut directories = Directories::new();
        let mut files: BTreeMap<(u64, String), u8> = BTreeMap::new();
        let mut next = 2;
        let nth = |directories: &Directories, index: usize| {
            let all: Vec<u64> = std::iter::once(1).chain(directories.keys().copied()).collect();
            all[index % all.len()]
        };
        for step in steps {
            match step {
                Step::Write { at: (index, name), content } => {
                    let within = nth(&directories, index);
                    let name = format!("f{name}");
                    files.insert((within, name.clone()), content);
                    let copy = Known { directory: within, ..known(content) };
                    inventory.note(&[Note::Here(path(&directories, within).join(name), copy)]).unwrap();
                }
                Step::Remove { at: (index, name) } => {
                    let within = nth(&directories, index);
                    let name = format!("f{name}");
                    files.remove(&(within, name.clone()));
                    inventory.note(&[Note::Gone(path(&directories, within).join(name), within)]).unwrap();
                }
                Step::Make { within, name } => {
                    let entry = (nth(&directories, within), format!("d{name}"));
                    if !directories.values().any(|there| *there == entry) {
                        directories.insert(next, entry);
                        next += 1;
                    }
                }
                Step::Move { which, within, name } => {
                    let (inode, within) = (nth(&directories, which), nth(&directories, within));
                    let entry = (within, format!("d{name}"));
                    let is_taken = directories.values().any(|there| *there == entry);
                    if inode == 1 || is_taken || is_within(&directories, within, inode) {
                        continue;
                    }
                    directories.insert(inode, entry);
                    let to = Directory { path: path(&directories, inode), inode, within };
                    // What the watch does: a directory that is known by its inode has moved.
                    if matches!(inventory.places(&to), Placed::Elsewhere(_)) {
                        inventory.note(&[Note::Directory(to)]).unwrap();
                    } else {
                        // The walk that is asked for otherwise: each directory, the upper ones first.
                        let mut below: Vec<(PathBuf, u64)> = directories
                            .keys()
                            .filter(|other| is_within(&directories, **other, inode))
                            .map(|other| (path(&directories, *other), *other))
                            .collect();
                        below.sort();
                        for (path, inode) in below {
                            let within = directories[&inode].0;
                            let to = Directory { path, inode, within };
                            if matches!(inventory.places(&to), Placed::Elsewhere(_) | Placed::Another) {
                                inventory.note(&[Note::Directory(to)]).unwrap();
                            }
                        }
                    }
                }
                Step::Restart => {
                    inventory.settle().unwrap();
                    drop(inventory);
                    inventory = Inventory::open(&dir.path().join("inventory")).unwrap();
                    inventory.set_seats(vec![seat("dd", 0, "/")]);
                }
            }
            for content in 0..6 {
                let of = files.iter().filter(|(_, other)| **other == content);
                let mut expected: Vec<PathBuf> =
                    of.map(|((within, name), _)| path(&directories, *within).join(name)).collect();
                expected.sort();
                let found = inventory.copies_of(&FileId::Sha256(Sha256([content; 32]))).unwrap();
                prop_assert_eq!(found, expected, "content {}", content);
            }
            prop_assert_eq!(inventory.len(), files.len() as u64);
        }
        for ((within, name), content) in &files {
            let copy = inventory.at(&path(&directories, *within).join(name));
            prop_assert_eq!(copy.map(|copy| copy.digests), Some(known(*content).digests));
        }
    }
}
