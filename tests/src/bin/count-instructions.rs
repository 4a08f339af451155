//! What a guard costs, in instructions: for a machine whose time is the number of its instructions
//! (`cargo xtask vm-bench`). Everything that runs is counted, the guard and the kernel's work for it included.
//!
//! A guard in the kernel is asked on every filesystem, so native is measured while there is none: before it, and
//! again after it, which tells how much the order is worth. A round is the same one before, with and after it.

#![forbid(unsafe_code)]

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use clap::Parser;
use sha2::{Digest, Sha256};
use tests::command::run;
use tests::filesystem::Filesystem;
use tests::guarding::Guarding;
use tests::measure::Median;
use tests::peers::{self, REFUSED};
use tests::userland::{COMMANDS, Userland};

#[derive(Parser)]
struct Arguments {
    /// Rounds before, with and after each guard.
    #[arg(long, default_value_t = 31)]
    rounds: usize,
    /// Rules in force.
    #[arg(long, default_value_t = 1000)]
    rules: u32,
    /// Levels of the guard.
    #[arg(long, value_delimiter = ',', default_values = ["fanotify", "bpf"])]
    levels: Vec<String>,
}

/// Room for the userland.
const SIZE: u64 = 64 << 20;
const SCRIPT: &str = "/bench/commands.sh";
/// Times that the shell goes through the commands in a round.
const TURNS: u32 = 5;

/// What is done in a round.
struct Work {
    title: &'static str,
    /// Of the loop, inside.
    arguments: &'static [&'static str],
    /// What the loop counts once.
    pieces: f64,
    /// What a level may cost, as a ratio to native.
    bars: &'static [(&'static str, f64)],
}

const WORKS: [Work; 3] = [
    Work {
        title: "(a) fork, exec and wait of a tiny static program",
        arguments: &["exec", "/bench/tiny", "100"],
        pieces: 1.0,
        bars: &[("bpf", 1.01)],
    },
    Work {
        title: "(b) a short command from a shell",
        arguments: &["run", "/bin/sh", SCRIPT],
        pieces: TURNS as f64 * COMMANDS.len() as f64,
        bars: &[("bpf", 1.01)],
    },
    Work {
        title: "(c) open, read, close",
        arguments: &["open", "/bench/page", "1000"],
        pieces: 1.0,
        bars: &[("bpf", 1.02)],
    },
];

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if !tests::is_private() {
        std::process::exit(2);
    }
    let userland = furnish()?;
    let ground = Filesystem::ext2(userland.root(), SIZE)?;
    println!(
        "{} rounds, {} rules; (b) is {} commands a round",
        arguments.rounds,
        arguments.rules,
        TURNS as usize * COMMANDS.len()
    );
    println!(
        "medians of instructions, and ratios of a round to the same one before the guard, with their 95 %"
    );
    let mut all_hold = true;
    let mut native = measure(&ground, arguments.rounds)?;
    for level in &arguments.levels {
        let guarding = Guarding::start(&ground, refused(&ground)?, &["--guard-level", level])?;
        guarding.put_in_force(arguments.rules)?;
        ensure!(peers::refuses(ground.root())?, "it does not refuse what is blocked");
        ensure!(
            guarding.status().mechanism == *level,
            "the guard is at level {}",
            guarding.status().mechanism
        );
        let before = settled(&guarding).questions;
        let guarded = measure(&ground, arguments.rounds)?;
        let counters = settled(&guarding);
        drop(guarding);
        let after = measure(&ground, arguments.rounds)?;
        println!(
            "\n{level}: {} questions, {} answered by the timer",
            counters.questions - before,
            counters.timed_out
        );
        for (which, work) in WORKS.iter().enumerate() {
            all_hold &= work.print(level, [&native, &guarded, &after].map(|part| part[which].as_slice()));
        }
        native = after;
    }
    println!("\n{}", if all_hold { "every bar holds" } else { "a bar FALLS SHORT" });
    Ok(())
}

fn furnish() -> anyhow::Result<Userland> {
    let userland = Userland::gather()?;
    userland.compile(include_str!("bench-exec/loop.c"), &["-O2"], "/bench/loop")?;
    let tiny = "void _start(void) { __asm__ volatile(\"mov $60, %eax; xor %edi, %edi; syscall\"); }";
    userland.compile(tiny, &["-nostdlib"], "/bench/tiny")?;
    userland.put("/bench/page", &[b'x'; 4096])?;
    let turn: String = COMMANDS.iter().map(|command| format!("  /bin/{command} /bench/page\n")).collect();
    let script = format!("i=0\nwhile [ $i -lt {TURNS} ]; do\n{turn}  i=$((i + 1))\ndone\n");
    userland.put(SCRIPT, script.replace("date /bench/page", "date").as_bytes())?;
    Ok(userland)
}

/// The SHA-256 of what is to be refused.
fn refused(ground: &Filesystem) -> anyhow::Result<[u8; 32]> {
    Ok(Sha256::digest(std::fs::read(ground.root().join(REFUSED.trim_start_matches('/')))?).into())
}

/// Its counters, which are told once a second.
fn settled(guarding: &Guarding) -> wire::link::v1::GuardCounters {
    std::thread::sleep(std::time::Duration::from_millis(1100));
    guarding.status().counters
}

/// The instructions of a piece of each work, in each round but a first one that does not count.
fn measure(ground: &Filesystem, rounds: usize) -> anyhow::Result<[Vec<f64>; 3]> {
    let mut counts = [const { Vec::new() }; 3];
    for round in 0..=rounds {
        for (work, counts) in WORKS.iter().zip(&mut counts) {
            let count = work.count(ground.root())?;
            if round > 0 {
                counts.push(count);
            }
        }
    }
    Ok(counts)
}

impl Work {
    fn count(&self, root: &Path) -> anyhow::Result<f64> {
        let mut command = Command::new("sh");
        // What the loop says, it says behind everything else.
        command
            .args(["-c", "exec chroot \"$@\" 2>&1", "sh"])
            .arg(root)
            .arg("/bench/loop")
            .args(self.arguments);
        let said = run(&mut command)?;
        let last = said.trim().lines().last().unwrap_or_default();
        let nanoseconds: f64 = last.parse().with_context(|| format!("it says: {said}"))?;
        Ok(nanoseconds / self.pieces)
    }

    /// One line; whether its bar holds.
    fn print(&self, level: &str, [native, guarded, after]: [&[f64]; 3]) -> bool {
        let ratio = |counts: &[f64]| {
            Median::of(&counts.iter().zip(native).map(|(count, native)| count / native).collect::<Vec<_>>())
        };
        let (cost, same) = (ratio(guarded), ratio(after));
        let [native, guarded] = [native, guarded].map(|counts| Median::of(counts).middle / 1000.0);
        println!("  {}", self.title);
        println!("    native {native:.2} thousand, guarded {guarded:.2} thousand");
        println!("    guarded / native: {cost}");
        println!("    native / native (A/A): {same}");
        let Some((_, most)) = self.bars.iter().find(|(of, _)| *of == level) else { return true };
        let holds = cost.low <= *most && cost.middle <= most + (same.high - same.low) / 2.0;
        println!("    bar {most}: {}", if holds { "holds" } else { "FALLS SHORT" });
        holds
    }
}
