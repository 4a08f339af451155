//! What a million rules cost: the memory of warden, guard and agent together, the time until one more rule is in force, and
//! a look-up, beside a hash table of the same digests. The agent and the guard are the shipped ones; the server is
//! this program, which says over the link what a server would say.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::hint::black_box;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use agent::ruleset::RuleSet;
use clap::Parser;
use model::log::{Change, Entry};
use model::rule::{Effect, Identifier, Rule, Scope};
use model::{Generation, MachineId, Names, OrganizationId, RuleId, Sha256};
use sha2::Digest;
use tests::filesystem::Filesystem;
use tests::footprint;
use tests::measure::{Median, row};
use tests::up::one_of;
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
    let mut machine = Machine::start(dir.path(), place.root());
    machine.link.wait_for_beat();
    println!("0 rules: {}", machine.memory().1);

    let began = Instant::now();
    machine.link.say_whole(arguments.rules);
    let worked = machine.agent_worked();
    println!(
        "{} rules adopted in {:.1} s from the first message on, {worked:.1} s of the agent's work since its start",
        arguments.rules,
        seconds(began)
    );
    std::thread::sleep(Duration::from_secs(1));
    let (total, text) = machine.memory();
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
    println!("{next} rules: {}", machine.memory().1);

    let began = Instant::now();
    machine.start_agent_again();
    let worked = machine.agent_worked();
    println!(
        "the agent is killed, starts and has them in force again in {:.1} s, {worked:.1} s of work",
        seconds(began)
    );
    machine.link.wait_for_beat();
    std::thread::sleep(Duration::from_secs(1));
    println!("{next} rules: {}", machine.memory().1);
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

/// A machine's agent, with its warden and its guard, and the link to it.
struct Machine {
    warden: Child,
    listener: UnixListener,
    link: Link,
}

impl Machine {
    fn start(data_dir: &Path, guarded: &Path) -> Self {
        let listener = UnixListener::bind(data_dir.join("link.sock")).expect("a socket");
        let log = std::fs::File::create(data_dir.join("log")).expect("a log file");
        let mut command = Command::new(tests::up::binary());
        command.args(["agent", "run", "--machine", &MachineId([7; 20]).to_string()]);
        command.args(["--organization", &OrganizationId(Default::default()).to_string()]);
        command.arg("--data-dir").arg(data_dir).arg("--watch").arg(guarded).arg("--guard").arg(guarded);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log file")).stderr(log);
        let warden = command.spawn().expect("the binary runs");
        let link = Link::accept(&listener);
        Self { warden, listener, link }
    }

    fn pid(&self) -> i32 {
        self.warden.id().cast_signed()
    }

    /// Kills the agent; the warden starts it again.
    fn start_agent_again(&mut self) {
        let agent = one_of(self.pid(), "work").and_then(rustix::process::Pid::from_raw).expect("an agent");
        rustix::process::kill_process(agent, rustix::process::Signal::KILL).expect("it can be killed");
        let Link { generation, chain, .. } = self.link;
        self.link = Link { generation, chain, ..Link::accept(&self.listener) };
        self.link.say_nothing_new();
    }

    /// The processor time that the agent has had since its start, in seconds.
    fn agent_worked(&self) -> f64 {
        let agent = one_of(self.pid(), "work").expect("an agent");
        footprint::processor_time(agent).expect("it runs") as f64 / 1e9
    }

    /// What all its processes take together, in MiB, with what each takes.
    fn memory(&self) -> (f64, String) {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let mut total = footprint::Memory::default();
        let mut text = String::new();
        for pid in footprint::family(self.pid()) {
            let memory = footprint::memory(pid).expect("it runs");
            total.pss += memory.pss;
            total.rss += memory.rss;
            let role = footprint::role(pid);
            text += &format!("; {role}: {:.1} (RSS {:.1})", mib(memory.pss), mib(memory.rss));
        }
        (mib(total.pss), format!("PSS {:.1} MiB (RSS {:.1}){text}", mib(total.pss), mib(total.rss)))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.warden.kill();
        let _ = self.warden.wait();
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
