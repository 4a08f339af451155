//! Killed at every step: each copy is in place or whole in the vault.
//!
//! A child process takes and restores fresh copies and kills itself with SIGKILL at one step; then the vault
//! is opened again, as after any crash, and looked at. `QUELL_CRASH_ROUNDS` says how often each step is
//! hit (17: 204 kills between intent and done); odd rounds do it to two names of one inode, and die at the second.
//!
//! ```sh
//! timeout 300 unshare -m --propagation private env QUELL_PRIVATE_NAMESPACE=1 cargo test -p agent --test crash
//! ```

mod arena;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use agent::vault::{Step, Vault};

use arena::{Arena, Image, KEEP, Kind, Standing, found, image_of, names_in, wanting};

/// In the child: data directory, step at which to die, how many times to survive it, and the copies.
const ORDERS: &str = "QUELL_CRASH_CHILD";

const RENAMING: [Step; 11] = [
    Step::Checked,
    Step::Intended,
    Step::Moved,
    Step::Compared,
    Step::Synced,
    Step::Rests,
    Step::RestoreChecked,
    Step::RestoreIntended,
    Step::Returned,
    Step::ReturnSynced,
    Step::Restored,
];
const COPYING: [Step; 17] = [
    Step::Checked,
    Step::Intended,
    Step::Written,
    Step::Named,
    Step::Copied,
    Step::Moved,
    Step::Compared,
    Step::Removed,
    Step::Synced,
    Step::Rests,
    Step::RestoreChecked,
    Step::RestoreIntended,
    Step::Rewritten,
    Step::Returned,
    Step::ReturnSynced,
    Step::Restored,
    Step::Cleared,
];
/// What the linked second name does not do: its bytes are there already.
const ONCE_AN_INODE: [Step; 2] = [Step::Written, Step::Rewritten];

#[derive(Default)]
struct Tally {
    kills: u32,
    in_place: u32,
    in_vault: u32,
}

#[test]
fn renaming_survives_a_kill_at_every_step() {
    kill_everywhere(Kind::Ext4, &RENAMING);
}

#[test]
fn copying_survives_a_kill_at_every_step() {
    kill_everywhere(Kind::Tmpfs, &COPYING);
}

fn kill_everywhere(kind: Kind, steps: &[Step]) {
    let Some(arena) = Arena::enter(kind) else { return };
    assert_eq!(steps_of(&arena), steps, "every step is known");
    let rounds = std::env::var("QUELL_CRASH_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(17);
    let mut tallies: BTreeMap<Step, Tally> = BTreeMap::new();
    for round in 0..rounds {
        for (number, step) in steps.iter().enumerate() {
            let tally = tallies.entry(*step).or_default();
            crash(&arena, *step, round * steps.len() + number, tally);
        }
    }
    for (step, Tally { kills, in_place, in_vault }) in &tallies {
        println!("crash: step {kind:?}/{step:?} kills {kills} in place {in_place} in vault {in_vault}");
    }
    let kills: u32 = tallies.values().map(|tally| tally.kills).sum();
    println!("crash: {kind:?} kills {kills}, copies lost 0");
    assert_eq!(kills as usize, rounds * steps.len());
    assert!(arena.vault().list().is_empty());
    assert!(names_in(&arena.data_dir().join("vault")).is_empty(), "nothing is left behind");
}

/// One life and death.
fn crash(arena: &Arena, step: Step, number: usize, tally: &mut Tally) {
    let linked = (number / 2) % 2 == 1;
    let bytes: Vec<u8> = number.to_le_bytes().iter().cycle().take(number * 7919 % 300_000).copied().collect();
    let mut paths = vec![arena.path(format!("copy {number}"))];
    Image::rich(&bytes).create(&paths[0]);
    if linked {
        paths.push(arena.path(format!("link {number}")));
        fs::hard_link(&paths[0], &paths[1]).unwrap();
    }
    let before = Image::of(&paths[0]).unwrap();
    let survives = usize::from(linked && !ONCE_AN_INODE.contains(&step));
    let ended = child(arena, step, survives, &paths);
    assert_eq!(ended.signal(), Some(9), "the child died at {step:?}: {ended:?}");
    tally.kills += 1;

    let vault = arena.vault();
    let resting = vault.list();
    for path in &paths {
        let rests = resting.iter().find(|resting| resting.path == *path);
        match (Image::of(path), rests) {
            (Ok(image), None) => {
                assert_eq!(image, before, "{step:?}: in place as it was");
                tally.in_place += 1;
            }
            (Err(_), Some(resting)) => {
                assert_eq!(image_of(resting), before, "{step:?}: whole in the vault");
                tally.in_vault += 1;
            }
            (image, rests) => panic!("{step:?}: {image:?} and {rests:?}"),
        }
    }
    drop(vault);
    let vault = arena.vault();
    assert_eq!(vault.list(), resting, "{step:?}: what was recovered stays as it is");
    finish(&vault, &paths, &bytes);
    for path in &paths {
        assert_eq!(Image::of(path).unwrap(), before, "{step:?}: a second run finishes");
        fs::remove_file(path).unwrap();
    }
    assert!(vault.list().is_empty());
    let others = names_in(&arena.root()).into_iter().filter(|name| name != ".quell-vault").count();
    assert_eq!(others, 0, "{step:?}: nothing is left behind");
}

/// Takes whatever is in place and restores everything.
fn finish(vault: &Vault, paths: &[PathBuf], bytes: &[u8]) {
    let why = wanting(bytes);
    for path in paths.iter().filter(|path| path.exists()) {
        vault.take(found(path), why, &mut |_| {}).unwrap();
    }
    for resting in vault.list() {
        vault.restore(resting.id, KEEP, &mut |_| {}).unwrap();
    }
}

/// The steps that an undisturbed run makes.
fn steps_of(arena: &Arena) -> Vec<Step> {
    let path = arena.path("undisturbed");
    fs::write(&path, "x").unwrap();
    let vault = arena.vault();
    let mut steps = Vec::new();
    let id = vault.take(found(&path), wanting(b"x"), &mut |step| steps.push(step)).unwrap();
    vault.restore(id, KEEP, &mut |step| steps.push(step)).unwrap();
    fs::remove_file(&path).unwrap();
    steps
}

fn child(arena: &Arena, step: Step, survives: usize, paths: &[PathBuf]) -> std::process::ExitStatus {
    let mut orders = vec![arena.data_dir().display().to_string(), format!("{step:?}"), survives.to_string()];
    orders.extend(paths.iter().map(|path| path.display().to_string()));
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_child_that_dies", "--nocapture"])
        .env(ORDERS, orders.join("\n"))
        .stdout(Stdio::null())
        .status()
        .unwrap()
}

/// Not a test by itself: what [`child`] starts.
#[test]
fn the_child_that_dies() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let mut orders = orders.lines();
    let (data_dir, fatal) = (orders.next().unwrap(), orders.next().unwrap());
    let mut survives: usize = orders.next().unwrap().parse().unwrap();
    let paths: Vec<&Path> = orders.map(Path::new).collect();
    let mut step = |step: Step| {
        if format!("{step:?}") == fatal {
            if survives == 0 {
                let this = rustix::process::getpid();
                rustix::process::kill_process(this, rustix::process::Signal::KILL).unwrap();
            }
            survives = survives.saturating_sub(1);
        }
    };
    let vault = Vault::open(Path::new(data_dir), Arc::new(Standing)).unwrap();
    let why = wanting(&Image::of(paths[0]).unwrap().bytes);
    for path in paths {
        vault.take(found(path), why, &mut step).unwrap();
    }
    for resting in vault.list() {
        vault.restore(resting.id, KEEP, &mut step).unwrap();
    }
}
