//! What a million rules cost: the memory of guard and agent together, the time until one more rule is in force, and
//! a look-up, beside a hash table of the same digests. The agent and the guard are the shipped ones; the server is
//! this program, which says over the link what a server would say.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::hint::black_box;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use agent::ruleset::RuleSet;
use clap::Parser;
use model::log::{Change, Entry};
use model::rule::{Effect, Identifier, Rule, Scope};
use model::{Generation, MachineId, Names, OrganizationId, RuleId, Sha256};
use sha2::Digest;
use tests::filesystem::Filesystem;
use tests::measure::{Median, row};
use wire::link::v1::{down, up};
use wire::link::{frame, rules::chained_bytes, v1};

#[derive(Parser)]
struct Arguments {
    /// Rules in force.
    #[arg(long, default_value_t = 1_000_000)]
    rules: u64,
    /// Rounds of each measurement.
    #[arg(long, default_value_t = 41)]
    rounds: u64,
}

const MACHINE: MachineId = MachineId([7; 20]);
/// As many as a server sends at a time.
const PART: usize = 8192;
/// What all processes of the agent may take.
const BAR_MIB: f64 = 60.0;

fn main() {
    let arguments = Arguments::parse();
    if !tests::is_private() {
        std::process::exit(2);
    }
    println!("load: {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    look_up(&arguments);
    let place = Filesystem::tmpfs();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut machine = Machine::start(dir.path().to_owned(), place.root());
    machine.link.wait_for_beat();
    println!("{} rules: {}", 0, machine.memory());

    let began = Instant::now();
    machine.link.say_whole(arguments.rules);
    println!("{} rules adopted in {:.1} s, from the first message on", arguments.rules, seconds(began));
    std::thread::sleep(Duration::from_secs(1));
    let (total, text) = machine.measured();
    println!("{} rules: {text}", arguments.rules);
    println!("bar {BAR_MIB} MiB: {}", if total <= BAR_MIB { "holds" } else { "FALLS SHORT" });

    let mut next = arguments.rules;
    let mut times = Vec::new();
    for _ in 0..arguments.rounds {
        times.push(machine.link.change(&[Change::Begin(rule(next))]));
        next += 1;
    }
    println!("{}", row("one rule begins -> in force", &times));
    let worst = times.iter().max().copied().unwrap_or_default();
    println!("bar 1 s: {}", if worst <= Duration::from_secs(1) { "holds" } else { "FALLS SHORT" });
    times.clear();
    for round in 0..arguments.rounds {
        let old = RuleId(round * (arguments.rules / arguments.rounds));
        times.push(machine.link.change(&[Change::End(old)]));
    }
    println!("{}", row("one rule of the base ends -> in force", &times));
    times.clear();
    for _ in 0..arguments.rounds / 8 {
        // As many as make a new base.
        let many: Vec<_> = (next..next + arguments.rules / 50).map(|id| Change::Begin(rule(id))).collect();
        next += many.len() as u64;
        times.push(machine.link.change(&many));
    }
    println!("{}", row("a fiftieth more begin at once: a new base -> in force", &times));
    std::thread::sleep(Duration::from_secs(1));
    println!("{next} rules: {}", machine.memory());

    let began = Instant::now();
    machine.start_agent_again();
    println!("the agent is killed, starts and attaches again in {:.2} s", seconds(began));
    machine.link.wait_for_beat();
    std::thread::sleep(Duration::from_secs(1));
    println!("{next} rules: {}", machine.memory());
}

fn digest(id: u64) -> Sha256 {
    Sha256(sha2::Sha256::digest(id.to_le_bytes()).into())
}

fn rule(id: u64) -> Rule {
    let identifier = Identifier::Sha256(digest(id));
    Rule { id: RuleId(id), effect: Effect::Deny, identifier, scope: Scope::Organization, until: None }
}

fn seconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64()
}

/// Of this thread, in nanoseconds: on a busy machine others run in between.
fn processor_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Look-ups in an order that no processor foresees, in rounds of both.
fn look_up(arguments: &Arguments) {
    let set = RuleSet::new((0..arguments.rules).map(rule)).expect("a set");
    let table: HashMap<[u8; 32], u32> = (0..arguments.rules).map(|id| (digest(id).0, id as u32)).collect();
    let names = |id| Names { sha256: digest(id), sha1: None, md5: None };
    for (what, first) in [("hit", 0), ("miss", arguments.rules)] {
        let (mut here, mut there, mut again) = (vec![], vec![], vec![]);
        for round in 0..arguments.rounds {
            // A hundred thousand of them, spread by a step that has no factor in common with their number.
            let ids = (0..100_000).map(|n| first + (round * 7919 + n * 49_999) % arguments.rules);
            let asked: Vec<Names> = ids.map(names).collect();
            let time = |look: &dyn Fn(&Names) -> usize| {
                let began = processor_time();
                let found: usize = asked.iter().map(look).sum();
                assert_eq!(black_box(found), if first == 0 { asked.len() } else { 0 });
                (processor_time() - began) / asked.len() as f64
            };
            there.push(time(&|names| usize::from(table.contains_key(&names.sha256.0))));
            here.push(time(&|names| set.matching(names).count()));
            again.push(time(&|names| usize::from(table.contains_key(&names.sha256.0))));
        }
        let noise: Vec<_> = again.iter().zip(&there).map(|(again, there)| again / there).collect();
        let ratio: Vec<_> = here.iter().zip(&there).map(|(here, there)| here / there).collect();
        let [here, there] = [here, there].map(|values| Median::of(&values));
        println!("look-up, {what}: {here} ns");
        println!("  a hash table: {there} ns, itself / itself: {}", Median::of(&noise));
        println!("  ratio: {}", Median::of(&ratio));
        println!("  bar 1000 ns: {}", if here.high <= 1000.0 { "holds" } else { "FALLS SHORT" });
    }
}

/// Guard and agent of a machine, and the link to them.
struct Machine {
    data_dir: PathBuf,
    guarded: PathBuf,
    guard: Child,
    agent: Child,
    listener: UnixListener,
    link: Link,
}

impl Machine {
    fn start(data_dir: PathBuf, guarded: &Path) -> Self {
        let listener = UnixListener::bind(data_dir.join("link.sock")).expect("a socket");
        let guard = start(&["agent", "guard"], &data_dir, guarded);
        let agent = start_agent(&data_dir, guarded);
        let link = Link::accept(&listener);
        Self { data_dir, guarded: guarded.to_owned(), guard, agent, listener, link }
    }

    fn start_agent_again(&mut self) {
        self.agent.kill().and_then(|()| self.agent.wait()).expect("it ends");
        self.agent = start_agent(&self.data_dir, &self.guarded);
        let Link { generation, chain, .. } = self.link;
        self.link = Link { generation, chain, ..Link::accept(&self.listener) };
        self.link.say_nothing_new();
    }

    fn memory(&self) -> String {
        self.measured().1
    }

    /// The sum of both processes' proportional shares, in MiB, and a text with more.
    fn measured(&self) -> (f64, String) {
        let [guard, agent] = [&self.guard, &self.agent].map(|child| Memory::of(child.id()));
        let total = guard.share + agent.share;
        (total, format!("{total:.1} MiB together (PSS); guard {guard}; agent {agent}"))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for child in [&mut self.agent, &mut self.guard] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn start_agent(data_dir: &Path, guarded: &Path) -> Child {
    let organization = OrganizationId(Default::default()).to_string();
    let machine = MACHINE.to_string();
    let ids =
        ["agent", "run", "--machine", machine.as_str(), "--organization", organization.as_str(), "--watch"];
    start(&[&ids[..], &[guarded.to_str().expect("a plain path")]].concat(), data_dir, guarded)
}

fn start(verb: &[&str], data_dir: &Path, guarded: &Path) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(data_dir.join("log"));
    let log = log.expect("a log file");
    let mut command = Command::new(tests::up::binary());
    command.args(verb).arg("--data-dir").arg(data_dir).arg("--guard").arg(guarded);
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log file")).stderr(log);
    command.spawn().expect("the binary runs")
}

/// One process, in MiB.
struct Memory {
    share: f64,
    resident: f64,
    private: f64,
    most: f64,
}

impl Memory {
    fn of(pid: u32) -> Self {
        let of = |file: &str, names: &[&str]| -> f64 {
            let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).expect("it runs");
            let lines = text.lines().filter_map(|line| line.split_once(':'));
            let lines = lines.filter(|(name, _)| names.contains(name));
            let kib = lines.filter_map(|(_, value)| value.trim().trim_end_matches(" kB").parse::<f64>().ok());
            kib.sum::<f64>() / 1024.0
        };
        Self {
            share: of("smaps_rollup", &["Pss"]),
            resident: of("smaps_rollup", &["Rss"]),
            private: of("smaps_rollup", &["Private_Clean", "Private_Dirty"]),
            most: of("status", &["VmHWM"]),
        }
    }
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { share, resident, private, most } = self;
        write!(f, "PSS {share:.1} RSS {resident:.1} private {private:.1} most {most:.1}")
    }
}

/// The server's end.
struct Link {
    stream: UnixStream,
    generation: u64,
    chain: [u8; 32],
}

impl Link {
    fn accept(listener: &UnixListener) -> Self {
        let (mut stream, _) = listener.accept().expect("the agent attaches");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let hello = frame::read::<v1::Up>(&mut stream).expect("a message").and_then(|up| up.message);
        assert!(matches!(hello, Some(up::Message::Hello(_))), "it says who it is");
        let mut link = Self { stream, generation: 0, chain: [0; 32] };
        link.say(down::Message::Welcome(v1::Welcome { heartbeat_seconds: 3600, ..Default::default() }));
        link
    }

    fn say(&mut self, message: down::Message) {
        frame::write(&mut self.stream, &v1::Down { message: Some(message) }).expect("it listens");
    }

    fn hear(&mut self) -> up::Message {
        let heard = frame::read::<v1::Up>(&mut self.stream).expect("a message").and_then(|up| up.message);
        heard.expect("the agent goes on")
    }

    fn wait_for_beat(&mut self) {
        while !matches!(self.hear(), up::Message::Heartbeat(_)) {}
    }

    fn wait_adopted(&mut self) {
        loop {
            match self.hear() {
                up::Message::Adopted(position) if position.generation == self.generation => return,
                _ => {}
            }
        }
    }

    fn say_whole(&mut self, count: u64) {
        self.generation = count;
        let ids: Vec<u64> = (0..count).collect();
        let parts = ids.chunks(PART).enumerate();
        for (part, ids) in parts {
            self.say(down::Message::Rules(v1::Rules {
                whole: true,
                epoch: 1,
                to: count,
                rules: ids.iter().map(|id| (&rule(*id)).into()).collect(),
                chain: self.chain.to_vec(),
                part: part as u32,
                more: (part + 1) * PART < count as usize,
                ..Default::default()
            }));
        }
        self.wait_adopted();
    }

    /// As a server does that has no more than the machine.
    fn say_nothing_new(&mut self) {
        let (generation, chain) = (self.generation, self.chain.to_vec());
        let nothing = v1::Rules { epoch: 1, from: generation, to: generation, chain, ..Default::default() };
        self.say(down::Message::Rules(nothing));
        self.wait_adopted();
    }

    /// How long it takes until the machine says that these are in force.
    fn change(&mut self, changes: &[Change]) -> Duration {
        let from = self.generation;
        let mut entries = Vec::new();
        for change in changes {
            self.generation += 1;
            let generation = Generation(self.generation);
            let hash = sha2::Sha256::new().chain_update(self.chain);
            self.chain = hash.chain_update(chained_bytes(generation, change)).finalize().into();
            entries.push((&Entry { generation, change: *change, chain: self.chain }).into());
        }
        let chain = self.chain.to_vec();
        let rules = v1::Rules { epoch: 1, from, to: self.generation, entries, chain, ..Default::default() };
        let began = Instant::now();
        self.say(down::Message::Rules(rules));
        self.wait_adopted();
        began.elapsed()
    }
}
