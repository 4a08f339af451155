//! How long the story takes: from a block's answer to the first refused exec, and from the order of a stop and
//! quarantine to dead processes and empty paths. Beside them, in the same run, what a bare call and a bare exec
//! cost.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use clap::Parser;
use tests::filesystem::Filesystem;
use tests::measure::{percentile, row};
use tests::sample::{Sample, is_denied, keep_running, try_run};
use tests::up::{Options, Up, options};

#[derive(Parser)]
struct Arguments {
    /// Distinct files for each half of the story.
    #[arg(long, default_value_t = 120)]
    files: usize,
}

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
