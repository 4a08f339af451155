//! A random walk of several threads that adopt and withdraw rules, run files by several roads, rewrite, rename and
//! link them, on a tmpfs, an ext4 and an ext2 (whose times move with the clock's ticks) at once. Each content, when it runs, says itself which one it is. So there is no
//! model of the guard: **a content must not run when its denial was confirmed before the exec began and not lifted
//! before it ended**, and is to run when nobody denied it and nobody touched the file meanwhile.
//!
//! `QUELL_GUARD_LEVEL=bpf` walks where the kernel denies by itself.
//!
//! `QUELL_WALK_SEED` repeats the choices of a walk (not the scheduler's); `QUELL_WALK_SECONDS` makes it that long.
//!
//! ```sh
//! timeout 600 unshare -m --propagation private env QUELL_PRIVATE_NAMESPACE=1 \
//!     cargo test -p agent --test model_walk -- --nocapture
//! ```

#[path = "../guard_kernel/arena.rs"]
#[expect(dead_code, reason = "each test program uses a part of it")]
mod arena;
#[path = "../hand/mod.rs"]
#[expect(dead_code, reason = "each test program uses a part of it")]
mod hand;
#[path = "../guard_kernel/processes.rs"]
#[expect(dead_code, reason = "each test program uses a part of it")]
mod processes;

mod chance;
mod contents;
mod files;
mod ruler;
mod rules;
mod tally;
mod walker;

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use arena::{Arena, Kind};
use chance::Chance;
use contents::Contents;
use files::Files;
use hand::Tools;
use ruler::Ruler;
use rules::Rules;
use tally::Tally;
use walker::Walker;

/// As long as a walk is, if nothing else is said.
const STEPS: u64 = 100_000;
const WALKERS: u64 = 4;

#[test]
fn nothing_runs_that_is_denied() {
    let Some(arena) = Arena::enter_all(&[Kind::Tmpfs, Kind::Ext4, Kind::Ext2]) else { return };
    let Some(tools) = Tools::build() else { return };
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = number("QUELL_WALK_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    let limit = number("QUELL_WALK_SECONDS").map(Duration::from_secs);
    println!("QUELL_WALK_SEED={seed}");

    let contents = Contents::make(&tools, arena.data_dir());
    let files: Vec<_> = arena.grounds().iter().map(|ground| Files::make(ground, &contents)).collect();
    let guarded = arena.guarded();
    let (rules, tally, start) = (Rules::new(), Tally::default(), Instant::now());
    let is_over =
        &|| limit.map_or(tally.steps() >= STEPS, |limit| start.elapsed() >= limit) || tally.is_bad();
    std::thread::scope(|threads| {
        let (guard, grounds) = (&guarded.client, arena.grounds());
        let mut ruler = Ruler::new(&tools, guard, &contents, &rules, &tally, Chance::new(seed), grounds);
        threads.spawn(move || {
            while !is_over() {
                ruler.step();
            }
        });
        for n in 1..=WALKERS {
            let chance = Chance::new(seed.wrapping_add(n));
            let mut walker =
                Walker::new(&tools, &contents, &files, &rules, &tally, chance, arena.data_dir(), n);
            threads.spawn(move || {
                while !is_over() {
                    walker.step();
                }
            });
        }
    });
    std::thread::sleep(Duration::from_millis(1100));
    let status = guarded.client.status();
    let counters = status.counters;
    println!("{}", tally.told(start.elapsed(), &counters));
    assert_eq!(tally.wrong(), Vec::<String>::new(), "QUELL_WALK_SEED={seed}");
    assert_eq!(counters.denied_late, 0, "what the timer permits is a wrong permit: {counters:?}");
    // The kernel's own memory is asked without being counted.
    let remembers = status.mechanism == "bpf" || counters.from_cache > 0;
    assert!(remembers && counters.hashed > 0 && counters.denied > 0, "{counters:?}");
}
