//! Killed at every moment of an act, from the order to its result, or out of memory there: the act goes on where it
//! was, each copy is in place or in the vault, and there is one result.
//!
//! A child process does a whole act, ledger and vault, and ends at one moment; then ledger and vault are opened
//! again. `QUELL_ACT_ROUNDS` says how often each moment is hit in each way (1).
//!
//! ```sh
//! timeout 300 unshare -m --propagation private env QUELL_PRIVATE_NAMESPACE=1 cargo test -p agent --test crash_act
//! ```

mod arena;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::acts::{Grounds, Guarded, quarantine, restore};
use agent::ledger::Ledger;
use agent::vault::Vault;
use model::act::{Act, CopyState, Do, Outcome};
use model::{ActId, FileId, MachineId, OrderId, OrganizationId};
use rustix::process::{Resource, Rlimit, Signal};

use arena::{Arena, Image, KEEP, Kind, Standing, act, digests_of};

/// In the child: data directory, root, which act, its id and its order's, the moment at which to end, and how.
const ORDERS: &str = "QUELL_ACT_CHILD";
/// An act takes some ten milliseconds.
const STANDS_STILL: Duration = Duration::from_secs(5);
const BYTES: &[u8] = b"#!/bin/sh\n# evil\n";

#[test]
fn an_act_that_is_killed_at_any_moment_goes_on() {
    end_everywhere("kill", Signal::KILL, 0);
}

#[test]
fn an_act_that_runs_out_of_memory_at_any_moment_goes_on() {
    // The scarcer it is, the longer each attempt takes.
    let levels: &[usize] = if std::env::var_os("QUELL_ACT_ROUNDS").is_some() { &[0, 3_000] } else { &[0] };
    for &left in levels {
        end_everywhere(&format!("starve {left}"), Signal::ABORT, left);
    }
}

fn end_everywhere(how: &str, by: Signal, left: usize) {
    let rounds = std::env::var("QUELL_ACT_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    for kind in [Kind::Ext4, Kind::Tmpfs] {
        let Some(arena) = Arena::enter(kind) else { return };
        let (mut ends, mut moments) = (0, 0);
        for _ in 0..rounds {
            for what in ["quarantine", "restore"] {
                let mut moment = 0;
                // Until there are no more moments in it.
                while end_at(&arena, what, moment, how, by) {
                    ends += 1;
                    moment += 1;
                }
                assert!(moment > 5 || left > 0, "{what} has more moments than {moment}");
                moments = moments.max(moment);
            }
        }
        println!(
            "crash: {kind:?} {how}: acts that were cut short {ends}, at {moments} moments, copies lost 0"
        );
    }
}

/// Whether the child was still at it at that moment.
fn end_at(arena: &Arena, what: &str, moment: usize, how: &str, by: Signal) -> bool {
    let paths = ["one", "two"].map(|name| arena.path(name));
    Image::rich(BYTES).create(&paths[0]);
    fs::hard_link(&paths[0], &paths[1]).unwrap();
    let before = Image::of(&paths[0]).unwrap();
    let earlier = act(Do::Quarantine(FileId::Sha256(digests_of(BYTES).sha256)));
    let (mut ledger, mut grounds) = open(&arena.data_dir(), &arena.root());
    let meant: Act = if what == "restore" {
        finish(&mut ledger, &grounds, &earlier, &paths);
        act(Do::Restore(earlier.order, KEEP))
    } else {
        earlier
    };
    drop((ledger, grounds));
    let orders = [
        arena.data_dir().display().to_string(),
        arena.root().display().to_string(),
        what.to_owned(),
        meant.id.to_string(),
        if let Do::Restore(of, _) = meant.what { of } else { meant.order }.to_string(),
        moment.to_string(),
        how.to_owned(),
    ];
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_child_that_does_an_act", "--nocapture"])
        .env(ORDERS, orders.join("\n"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let mut was_killed = false;
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        // Without memory it may stand still on its way to its end; the warden ends such an agent.
        if how.starts_with("starve") && !was_killed && began.elapsed() > STANDS_STILL {
            child.kill().unwrap();
            was_killed = true;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let was_cut_short = ended.signal() == Some(by.as_raw()) || (was_killed && ended.signal().is_some());
    assert!(was_cut_short || ended.success(), "{what} at {moment}: {ended:?}");

    (ledger, grounds) = open(&arena.data_dir(), &arena.root());
    let resting = grounds.vault.list();
    for path in &paths {
        let rests = resting.iter().find(|resting| resting.path == *path);
        match (Image::of(path), rests) {
            (Ok(image), None) => assert_eq!(image, before),
            (Err(_), Some(resting)) => assert_eq!(arena::image_of(resting), before),
            (image, rests) => panic!("{what} at {moment}: {image:?} and {rests:?}"),
        }
    }
    // What the server does: it hands out what was not acknowledged, and knows each outcome once.
    ledger.take(meant.clone()).unwrap();
    assert!(ledger.unfinished().len() <= 1, "{:?}", ledger.unfinished());
    for act in ledger.unfinished() {
        finish(&mut ledger, &grounds, &act, &paths);
    }
    let outcomes: Vec<Outcome> =
        ledger.unsent().into_iter().filter(|outcome| outcome.act == meant.id).collect();
    let [outcome] = outcomes.try_into().expect("one act, one result");
    let mut done: Vec<&PathBuf> = outcome.copies.iter().map(|copy| &copy.path).collect();
    done.sort();
    assert_eq!(done, paths.iter().collect::<Vec<_>>(), "{what} at {moment}: {outcome:?}");
    let failed: Vec<_> = outcome.copies.iter().filter(|copy| copy.state == CopyState::Failed).collect();
    if !failed.is_empty() {
        // It had enough memory to say that it has not enough.
        assert!(how.starts_with("starve"), "{outcome:?}");
        assert_eq!(outcome.failure.as_ref().map(|failure| failure.code.cast_unsigned()), Some(0x8007_000e));
        assert!(failed.iter().all(|copy| copy.reason.as_ref().unwrap().contains("memory")), "{outcome:?}");
        finish(&mut ledger, &grounds, &Act { id: ActId::random(), ..meant }, &paths);
    }
    assert_eq!(paths.iter().filter(|path| path.exists()).count(), if what == "restore" { 2 } else { 0 });
    for resting in grounds.vault.list() {
        grounds.vault.restore(resting.id, KEEP, &mut |_| {}).unwrap();
    }
    for path in &paths {
        assert_eq!(Image::of(path).unwrap(), before, "{what} at {moment}");
        fs::remove_file(path).unwrap();
    }
    for outcome in ledger.unsent() {
        ledger.outcome_stored(outcome.act).unwrap();
    }
    was_cut_short
}

/// What remains of an act.
fn finish(ledger: &mut Ledger, grounds: &Grounds, act: &Act, known: &[PathBuf]) {
    ledger.take(act.clone()).unwrap();
    do_act(ledger, grounds, act, known, &mut || {});
}

/// The act in the order of the agent. `moment` hears of each between two steps.
fn do_act(ledger: &mut Ledger, grounds: &Grounds, act: &Act, known: &[PathBuf], moment: &mut dyn FnMut()) {
    ledger.begin(act.id).unwrap();
    moment();
    let outcome = match act.what {
        Do::Quarantine(file) => quarantine(grounds, act, file, known.to_vec(), &mut |_| moment()),
        Do::Restore(of, terms) => restore(grounds, act, of, terms, &mut |_| moment()),
        Do::Collect(_) => unreachable!("nothing is collected here"),
    };
    moment();
    ledger.ended(outcome).unwrap();
    moment();
}

fn open(data_dir: &Path, root: &Path) -> (Ledger, Grounds) {
    let organization = OrganizationId(uuid::Uuid::nil());
    let ledger = Ledger::open(&data_dir.join("ledger"), MachineId([1; 20]), organization).unwrap();
    let vault = Vault::open(data_dir, Arc::new(Standing)).unwrap();
    let mount = sys::mounts::containing(root).unwrap();
    let volatile = sys::mounts::is_volatile(&mount);
    let device = fs::metadata(root).unwrap().dev();
    let grounds = Grounds {
        guarded: vec![Guarded { device, mount: root.to_owned(), volatile }],
        vault: Arc::new(vault),
        spared: Arc::new(|_, _| None),
        everywhere: false,
        own_pids: Vec::new(),
        own_program: None,
    };
    (ledger, grounds)
}

/// Not a test by itself: what [`end_at`] starts.
#[test]
fn the_child_that_does_an_act() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let orders: Vec<&str> = orders.lines().collect();
    let [data_dir, root, what, id, order, fatal, how] = orders[..] else { panic!("{orders:?}") };
    let (root, fatal): (&Path, usize) = (root.as_ref(), fatal.parse().unwrap());
    let order = OrderId(order.parse().unwrap());
    let what = match what {
        "restore" => Do::Restore(order, KEEP),
        _ => Do::Quarantine(FileId::Sha256(digests_of(BYTES).sha256)),
    };
    let order = if let Do::Restore(..) = what { OrderId::random() } else { order };
    let act = Act { id: ActId(id.parse().unwrap()), order, ..act(what) };
    let (mut ledger, grounds) = open(Path::new(data_dir), root);
    let mut now = 0;
    let mut moment = || {
        if now == fatal {
            match how.strip_prefix("starve ") {
                Some(left) => starve(left.parse().unwrap()),
                None => rustix::process::kill_process(rustix::process::getpid(), Signal::KILL).unwrap(),
            }
        }
        now += 1;
    };
    moment();
    ledger.take(act.clone()).unwrap();
    moment();
    do_act(&mut ledger, &grounds, &act, &["one", "two"].map(|name| root.join(name)), &mut moment);
}

/// Takes all memory but about so much: the next allocation that finds no room ends this process.
fn starve(left: usize) {
    let mut held: Vec<Vec<u8>> = Vec::with_capacity(1 << 20);
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Data, none).unwrap();
    let sizes = (12..=20).rev().map(|power| 1_usize << power).chain((1..=256).rev().map(|size| size * 16));
    for size in sizes {
        loop {
            let mut piece = Vec::new();
            if held.len() == held.capacity() || piece.try_reserve_exact(size).is_err() {
                break;
            }
            held.push(piece);
        }
    }
    let mut freed = 0;
    while freed < left {
        let Some(piece) = held.pop() else { break };
        freed += piece.capacity();
    }
    std::mem::forget(held);
}
