//! How long it takes until everybody who runs a denied file has ended, among many who do not: from the moment when
//! the search begins to the end of the last of them. Beside it, in the same rounds, a plain look at what each process
//! runs, which is the least that any search needs. Then processes that fork all the time, and how many survive.
//!
//! It has a pid namespace of its own: nobody outside can be found, or ended.

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::acts::{Grounds, Guarded};
use agent::ruleset::RuleSet;
use agent::running::{Fate, Sweeper};
use agent::vault::Vault;
use clap::Parser;
use model::rule::{Effect, Identifier, Rule, Scope};
use model::{Clock, RuleId, Sha256, Time};
use sha2::Digest;
use sys::pidfd::PidFd;
use tests::filesystem::Filesystem;
use tests::measure::{Median, percentile};

#[derive(Parser)]
struct Arguments {
    /// Rounds of each kind.
    #[arg(long, default_value_t = 31)]
    rounds: usize,
    /// All processes.
    #[arg(long, default_value_t = 2000)]
    processes: usize,
    /// Those that run the victim.
    #[arg(long, default_value_t = 100)]
    victims: usize,
    /// Rules in force.
    #[arg(long, default_value_t = 1000)]
    rules: u64,
    /// It has its namespace.
    #[arg(long, hide = true)]
    inside: bool,
}

/// Forks until there are as many as wanted, which all wait; then says so.
const SLEEPERS: &str = r#"
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
  (void)argc;
  for (int left = atoi(argv[1]) - 1; left > 0; left--) {
    if (fork() == 0) for (;;) pause();
  }
  if (write(1, "r", 1) != 1) return 1;
  for (;;) pause();
}
"#;

/// Each forks another and ends.
const HOPS: &str = r#"
#include <unistd.h>
int main(void) {
  if (write(1, "r", 1) != 1) return 1;
  for (;;) if (fork() > 0) _exit(0);
}
"#;

/// Each keeps some children and replaces those that end.
const TREE: &str = r#"
#include <sys/wait.h>
#include <unistd.h>
static void grow(int depth) {
  int children = 0;
  for (;;) {
    while (children < 3 && depth < 4) {
      pid_t pid = fork();
      if (pid == 0) grow(depth + 1);
      if (pid > 0) children++;
    }
    if (depth == 0) { if (write(1, "r", 1) != 1) return; }
    if (children == 0) pause();
    else if (waitpid(-1, 0, 0) > 0) children--;
  }
}
int main(void) { grow(0); }
"#;

fn main() {
    let arguments = Arguments::parse();
    if !tests::is_private() {
        std::process::exit(2);
    }
    if !arguments.inside {
        std::process::exit(enter());
    }
    sys::lease::ignore_break_signals().expect("leases need it");
    let bench = Bench::new(arguments);
    bench.start(&bench.innocent, &[&(bench.own.processes - bench.own.victims).to_string()]);
    println!(
        "{} processes, {} of them run the victim; {} rules, {} rounds",
        bench.own.processes, bench.own.victims, bench.own.rules, bench.own.rounds
    );
    let (run, map) = (|| bench.run_victims(), || bench.map_victims());
    bench.measure("its program, known: files were read by an earlier search", true, &run, Some(BAR));
    bench.measure("its program, unknown: every file is read for the first time", false, &run, None);
    bench.measure("mapped, known: the victim was given to the loader", true, &map, Some(BAR));
    bench.survivors("each forks one and ends", HOPS);
    bench.survivors("each keeps three that do the same", TREE);
}

/// Runs this program once more, where nobody else is.
fn enter() -> i32 {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.arg(std::env::current_exe().expect("this program has a path"));
    command.args(std::env::args_os().skip(1)).arg("--inside");
    command.status().expect("unshare").code().unwrap_or(1)
}

/// Milliseconds from the begin of the search to the end of the last victim.
const BAR: f64 = 50.0;

struct Standing;

impl Clock for Standing {
    fn now(&self) -> Time {
        Time::from_seconds(1_900_000_000)
    }
}

struct Bench {
    own: Arguments,
    ground: Filesystem,
    _data: tempfile::TempDir,
    grounds: Grounds,
    innocent: PathBuf,
    victim: PathBuf,
    /// Waited for by [`reap`], with their orphans.
    started: RefCell<Vec<Child>>,
}

impl Bench {
    fn new(own: Arguments) -> Self {
        let (ground, data) = (Filesystem::ext4(), tempfile::tempdir().expect("a directory"));
        let device = std::fs::metadata(ground.root()).expect("it is mounted").dev();
        let vault = Vault::open(data.path(), Arc::new(Standing)).expect("a vault");
        let grounds = Grounds {
            guarded: vec![Guarded { device, mount: ground.root().to_owned(), volatile: false }],
            vault: Arc::new(vault),
            spared: Arc::new(|_, _| None),
            everywhere: false,
            own_pids: Vec::new(),
            own_program: std::env::current_exe().ok(),
        };
        let innocent = compile(&ground.root().join("innocent"), SLEEPERS);
        let victim = ground.root().join("victim");
        // As large as programs are.
        let bytes = [std::fs::read(&innocent).expect("it was compiled"), vec![7; 1 << 20]].concat();
        std::fs::write(&victim, bytes).expect("room");
        std::fs::set_permissions(&victim, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
        Self { own, ground, _data: data, grounds, innocent, victim, started: RefCell::default() }
    }

    fn start(&self, program: &Path, arguments: &[&str]) -> i32 {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        child.stdout.as_mut().expect("a pipe").read_exact(&mut [0]).expect("it says when it is ready");
        let pid = child.id().cast_signed();
        self.started.borrow_mut().push(child);
        pid
    }

    fn rules(&self, victim: &Path) -> RuleSet {
        let rule = |id: u64, sha256| Rule {
            id: RuleId(id),
            effect: Effect::DenyAndStop,
            identifier: Identifier::Sha256(Sha256(sha256)),
            scope: Scope::Organization,
            until: None,
        };
        let digest = |bytes: &[u8]| sha2::Sha256::digest(bytes).into();
        let others = (1..self.own.rules).map(|id| rule(id, digest(&id.to_le_bytes())));
        let bytes = std::fs::read(victim).expect("the victim");
        RuleSet::new(others.chain([rule(self.own.rules, digest(&bytes))])).expect("a set")
    }

    /// One search: from its begin to the end of the last victim, and to its own end.
    fn search(&self, sweeper: &mut Sweeper, rules: &RuleSet, running: &[i32]) -> (Duration, Duration) {
        let held: Vec<PidFd> = running.iter().map(|pid| sys::pidfd::open(*pid).expect("it runs")).collect();
        let began = Instant::now();
        let (last, all) = std::thread::scope(|scope| {
            let last = scope.spawn(|| {
                assert!(held.iter().all(|process| process.wait_ended(Duration::from_secs(30))), "all end");
                began.elapsed()
            });
            let found = sweeper
                .sweep(&self.grounds, rules, Time::from_seconds(1_900_000_000), &|| false)
                .expect("/proc");
            let all = began.elapsed();
            let ended = found.iter().filter(|found| found.fate == Fate::Ended).count();
            assert_eq!(ended, running.len(), "each is told");
            (last.join().expect("it waits"), all)
        });
        assert!(running_from(&self.victim).is_empty(), "none survives");
        reap();
        (last, all)
    }

    /// Rounds of `start`, which starts the victims. Where files are to be known, one search knows them from the last.
    fn measure(&self, name: &str, is_known: bool, start: &dyn Fn() -> Vec<i32>, bar: Option<f64>) {
        let rules = self.rules(&self.victim);
        let (mut sweeper, mut rounds) = (Sweeper::default(), Rounds::default());
        for round in 0..=self.own.rounds {
            let running = start();
            assert_eq!(running.len(), self.own.victims);
            let floor = floor();
            if !is_known {
                sweeper = Sweeper::default();
            }
            let times = self.search(&mut sweeper, &rules, &running);
            if round > 0 {
                rounds.floors.push(floor);
                rounds.add(times);
            }
        }
        rounds.print(name, bar);
    }

    fn run_victims(&self) -> Vec<i32> {
        self.start(&self.victim, &[&self.own.victims.to_string()]);
        running_from(&self.victim)
    }

    /// The victim is not the program of those who run it: it was given to the loader.
    fn map_victims(&self) -> Vec<i32> {
        let loader = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"].map(Path::new);
        let loader = loader.into_iter().find(|path| path.exists()).expect("the loader has its usual place");
        let victim = self.victim.to_str().expect("a name");
        let first = self.start(loader, &[victim, &self.own.victims.to_string()]);
        children_of(first)
    }

    fn survivors(&self, name: &str, source: &str) {
        let program = compile(&self.ground.root().join("forks"), source);
        let rules = self.rules(&program);
        let mut sweeper = Sweeper::default();
        let (mut survivors, mut ended, mut times) = (0, 0, Vec::new());
        for _ in 0..self.own.rounds {
            self.start(&program, &[]);
            std::thread::sleep(Duration::from_millis(20));
            let began = Instant::now();
            let found = sweeper
                .sweep(&self.grounds, &rules, Time::from_seconds(1_900_000_000), &|| false)
                .expect("/proc");
            times.push(began.elapsed());
            ended += found.iter().filter(|found| found.fate == Fate::Ended).count();
            std::thread::sleep(Duration::from_millis(20));
            let left = running_from(&program);
            survivors += left.len();
            for pid in left {
                let _ = sys::pidfd::open(pid).and_then(|process| process.kill());
            }
            reap();
        }
        println!("{name}: {survivors} survive in {} rounds; {ended} ended", self.own.rounds);
        println!(
            "  the whole search, median {:.1} ms, worst {:.1} ms",
            percentile(&times, 0.5),
            percentile(&times, 1.0)
        );
    }
}

#[derive(Default)]
struct Rounds {
    last: Vec<Duration>,
    all: Vec<Duration>,
    floors: Vec<Duration>,
}

impl Rounds {
    fn add(&mut self, (last, all): (Duration, Duration)) {
        self.last.push(last);
        self.all.push(all);
    }

    fn print(&self, name: &str, bar: Option<f64>) {
        let ms = |times: &[Duration]| -> Vec<f64> {
            times.iter().map(|time| time.as_secs_f64() * 1000.0).collect()
        };
        let (last, floors) = (ms(&self.last), ms(&self.floors));
        let ratios: Vec<f64> = last.iter().zip(&floors).map(|(last, floor)| last / floor).collect();
        println!("{name}:");
        println!("  all ended after {} ms, worst {:.1} ms", Median::of(&last), percentile(&self.last, 1.0));
        println!(
            "  search over after {} ms, worst {:.1} ms",
            Median::of(&ms(&self.all)),
            percentile(&self.all, 1.0)
        );
        println!("  floor (what each runs, looked at once) {} ms", Median::of(&floors));
        println!("  all ended / floor {}", Median::of(&ratios));
        if let Some(bar) = bar {
            let holds = Median::of(&last).middle <= bar;
            println!("  bar {bar} ms: {}", if holds { "holds" } else { "FALLS SHORT" });
        }
    }
}

/// What each process runs, looked at once in the plainest way.
fn floor() -> Duration {
    let began = Instant::now();
    let looked =
        sys::processes::all().filter(|pid| std::fs::metadata(format!("/proc/{pid}/exe")).is_ok()).count();
    assert!(looked > 0);
    began.elapsed()
}

fn running_from(program: &Path) -> Vec<i32> {
    let meant = std::fs::metadata(program).map(|stat| (stat.dev(), stat.ino())).expect("it is there");
    let runs = |pid: &i32| {
        std::fs::metadata(format!("/proc/{pid}/exe")).is_ok_and(|stat| (stat.dev(), stat.ino()) == meant)
    };
    sys::processes::all().filter(runs).collect()
}

/// A process and its children.
fn children_of(parent: i32) -> Vec<i32> {
    let is_child = |pid: &i32| *pid == parent || sys::processes::parent(*pid).is_ok_and(|of| of == parent);
    sys::processes::all().filter(is_child).collect()
}

/// Whoever has ended is a child of this process by now, which is the first of its namespace.
fn reap() {
    while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {}
}

fn compile(program: &Path, source: &str) -> PathBuf {
    let file = program.with_extension("c");
    std::fs::write(&file, source).expect("room for a source");
    let output =
        Command::new("cc").args(["-O2", "-o"]).arg(program).arg(&file).output().expect("a C compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program.to_owned()
}
