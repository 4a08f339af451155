//! How long the story takes: from a block's answer to the first refused exec, and from the order of a stop and
//! quarantine to dead processes and empty paths; the latter also for small and very large files that are known. Beside
//! them, in the same run, what a bare call and a bare exec cost.

#![forbid(unsafe_code)]

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Parser;
use sha1::{Digest, Sha1};
use tests::command::run;
use tests::filesystem::Filesystem;
use tests::measure::{percentile, row};
use tests::sample::{Sample, is_denied, keep_running, try_run};
use tests::up::{Options, Up, options};

#[derive(Parser)]
struct Arguments {
    /// Distinct files for each half of the story.
    #[arg(long, default_value_t = 120)]
    files: usize,
    /// Rounds with five copies of a file of 10 KB.
    #[arg(long, default_value_t = 40)]
    small: usize,
    /// Rounds with five copies of a file of 1 GB. Each is read twice before the order: that takes most of the time.
    #[arg(long, default_value_t = 8)]
    large: usize,
}

const SMALL: u64 = 10 << 10;
const LARGE: u64 = 1 << 30;
const COPIES: usize = 5;
/// How long an idle machine may take to read five very large files, in no hurry.
const READ: Duration = Duration::from_secs(120);

fn main() {
    let arguments = Arguments::parse();
    if !tests::is_private() {
        std::process::exit(2);
    }
    for (name, filesystem) in [("tmpfs", Filesystem::tmpfs()), ("ext4 on a loop device", Filesystem::ext4())]
    {
        println!("{name}:");
        story(&filesystem, arguments.files);
    }
    let filesystem = Filesystem::ext4();
    println!("ext4 on a loop device, five copies that are known, three processes:");
    sizes(&filesystem, &arguments);
}

/// Any size takes the same time.
fn sizes(filesystem: &Filesystem, arguments: &Arguments) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let up = Up::start(&options(dir.path(), filesystem.root()));
    let programs = Programs::compile(dir.path());
    for (name, size, rounds) in [("10 KB", SMALL, arguments.small), ("1 GB", LARGE, arguments.large)] {
        let acts: Vec<Duration> =
            (0..rounds).map(|_| quarantine_all(&up, filesystem, &programs.fresh(size))).collect();
        if acts.is_empty() {
            continue;
        }
        println!("{}", row(&format!("  POST -> 3 processes dead, 5 copies of {name} gone"), &acts));
        let gone = percentile(&acts, 0.5);
        println!("  bar: quarantine of {name} p50 {gone:.1} ms of 150 ms: {}", word(gone <= 150.0));
    }
    up.stop();
}

/// A program that waits for ever, as small as the compiler makes it.
struct Programs {
    bytes: Vec<u8>,
}

/// A file that is mostly a hole: what it begins with, its length, and its name.
struct Large {
    begins: Vec<u8>,
    size: u64,
    sha1: String,
}

impl Programs {
    fn compile(dir: &Path) -> Self {
        let (source, program) = (dir.join("wait.c"), dir.join("wait"));
        std::fs::write(&source, "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n")
            .expect("a source");
        let flags = ["-Os", "-s", "-Wl,-z,noseparate-code", "-o"];
        run(Command::new("cc").args(flags).arg(&program).arg(&source)).expect("a C compiler");
        Self { bytes: std::fs::read(program).expect("a program") }
    }

    /// Like no other.
    fn fresh(&self, size: u64) -> Large {
        let mut begins = self.bytes.clone();
        let mut end = [0; 32];
        getrandom::fill(&mut end).expect("randomness");
        begins.extend_from_slice(&end);
        assert!(begins.len() as u64 <= size, "the program is larger than it should be");
        let mut sha1 = Sha1::new();
        sha1.update(&begins);
        let (piece, mut left) = (vec![0; 1 << 20], size - begins.len() as u64);
        while left > 0 {
            let length = left.min(piece.len() as u64);
            sha1.update(&piece[..length as usize]);
            left -= length;
        }
        let sha1 = sha1.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Large { begins, size, sha1 }
    }
}

impl Large {
    fn put(&self, path: &Path) {
        let mut file = std::fs::File::create(path).expect("a file");
        file.write_all(&self.begins).expect("room");
        file.set_len(self.size).expect("a hole");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        file.set_permissions(executable).expect("and made executable");
    }
}

/// Waits before the order until every copy is known: that has its own time.
fn quarantine_all(up: &Up, filesystem: &Filesystem, file: &Large) -> Duration {
    let api = up.api();
    // What the round before has left is forgotten first.
    tests::wait_for("the copies before to be forgotten", READ, || (files_known(up) == 0).then_some(()));
    let paths: Vec<_> = (0..COPIES).map(|number| filesystem.root().join(format!("copy {number}"))).collect();
    paths.iter().for_each(|path| file.put(path));
    tests::wait_for("all copies to be known", READ, || (files_known(up) >= COPIES as u64).then_some(()));
    api.wait_known(&file.sha1);
    let mut processes = [&paths[0], &paths[0], &paths[1]].map(|path| keep_running(path));
    // What the guard asked for is read to its end by then, too.
    std::thread::sleep(Duration::from_millis(300).max(Duration::from_nanos(file.size * 8)));
    let ordered = Instant::now();
    let order = api.quarantine(up.field("machineId"), &file.sha1);
    while paths.iter().any(|path| path.exists()) || processes.iter_mut().any(is_running) {
        assert!(ordered.elapsed() < READ, "it is never done");
        std::thread::sleep(Duration::from_micros(500));
    }
    let waited = ordered.elapsed();
    let order = api.wait_order(order["id"].as_str().expect("an id"));
    assert_eq!(order["state"], "Succeeded", "{order}");
    waited
}

fn files_known(up: &Up) -> u64 {
    let told = up.cli(&["agent", "status", "-o", "json", "--data-dir", up.field("dataDir")]);
    let status: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    status["filesKnown"].as_u64().expect("a number")
}

fn story(filesystem: &Filesystem, files: usize) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    // More quarantines than the brake lets go on; what denials cost there is a part of the story.
    let more = vec!["--brake-quarantines".into(), "0".into()];
    let up = Up::start(&Options { more, ..options(dir.path(), filesystem.root()) });
    let (mut known, mut unknown, mut acts, mut calls, mut execs) = (vec![], vec![], vec![], vec![], vec![]);
    for index in 0..files {
        let is_known = index % 2 == 0;
        let waited = block(&up, filesystem, is_known);
        if is_known { &mut known } else { &mut unknown }.push(waited);
        acts.push(quarantine(&up, filesystem, is_known));
        let (call, exec) = bare(&up);
        calls.push(call);
        execs.push(exec);
    }
    println!("{}", row("  floor: GET of a machine", &calls));
    println!("{}", row("  floor: exec of a sample that nobody guards", &execs));
    println!("{}", row("  block answered -> exec denied, file known before", &known));
    println!("{}", row("  block answered -> exec denied, file unknown before", &unknown));
    println!("{}", row("  POST stop and quarantine -> 3 processes dead, 2 copies gone", &acts));
    let both: Vec<Duration> = known.into_iter().chain(unknown).collect();
    let (denied, gone) = (percentile(&both, 0.99), percentile(&acts, 0.5));
    println!("  bar: denied p99 {denied:.1} ms of 200 ms: {}", word(denied <= 200.0));
    println!("  bar: quarantine p50 {gone:.1} ms of 150 ms: {}", word(gone <= 150.0));
    println!(
        "  ratio to the bare call: denied p50 x{:.1}, quarantine p50 x{:.1}",
        ratio(&both, &calls),
        ratio(&acts, &calls)
    );
    up.stop();
}

fn block(up: &Up, filesystem: &Filesystem, is_known: bool) -> Duration {
    let api = up.api();
    let sample = Sample::fresh();
    let path = filesystem.root().join("to block");
    sample.put(&path);
    if is_known {
        api.wait_known(&sample.sha1);
        try_run(&path).expect("it runs before");
    }
    api.block(&sample.sha1);
    let answered = Instant::now();
    while !is_denied(&path) {
        assert!(answered.elapsed() < Duration::from_secs(10), "it is never denied");
    }
    let waited = answered.elapsed();
    std::fs::remove_file(&path).expect("it is there");
    waited
}

fn quarantine(up: &Up, filesystem: &Filesystem, is_known: bool) -> Duration {
    let api = up.api();
    let sample = Sample::fresh();
    let paths = [filesystem.root().join("first"), filesystem.root().join("second")];
    paths.iter().for_each(|path| sample.put(path));
    let mut processes = [keep_running(&paths[0]), keep_running(&paths[0]), keep_running(&paths[1])];
    // The order itself is refused for a file that the machine has not told of yet.
    api.wait_known(&sample.sha1);
    if is_known {
        std::thread::sleep(Duration::from_millis(200));
    }
    let ordered = Instant::now();
    let order = api.quarantine(up.field("machineId"), &sample.sha1);
    while paths.iter().any(|path| path.exists()) || processes.iter_mut().any(is_running) {
        assert!(ordered.elapsed() < Duration::from_secs(10), "it is never done");
        std::thread::sleep(Duration::from_micros(500));
    }
    let waited = ordered.elapsed();
    api.wait_order(order["id"].as_str().expect("an id"));
    waited
}

fn is_running(process: &mut std::process::Child) -> bool {
    process.try_wait().expect("a child").is_none()
}

fn bare(up: &Up) -> (Duration, Duration) {
    let api = up.api();
    let began = Instant::now();
    api.get(&format!("/api/machines/{}", up.field("machineId")));
    let call = began.elapsed();
    let began = Instant::now();
    try_run("/usr/bin/true".as_ref()).expect("true runs");
    (call, began.elapsed())
}

fn ratio(of: &[Duration], to: &[Duration]) -> f64 {
    percentile(of, 0.5) / percentile(to, 0.5)
}

fn word(holds: bool) -> &'static str {
    if holds { "holds" } else { "FALLS SHORT" }
}
