//! What a list of millions of digests costs: the time of its import, the bytes it takes on the disk and in the server's
//! memory, orders that are given meanwhile, and how long asking for a file takes with it and without.

#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use tests::api::Api;
use tests::filesystem::Filesystem;
use tests::measure::{percentile, row};
use tests::sample::Sample;
use tests::up::{Up, options};

#[derive(Parser)]
struct Arguments {
    /// Entries of the list.
    #[arg(long, default_value_t = 5_000_000)]
    entries: u64,
    /// Rounds of each measurement.
    #[arg(long, default_value_t = 200)]
    rounds: usize,
}

/// No order waits longer for an import.
const BAR: f64 = 100.0;

fn main() {
    let arguments = Arguments::parse();
    if !tests::is_private() {
        std::process::exit(2);
    }
    println!("load: {}", fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    let filesystem = Filesystem::tmpfs();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let feed = dir.path().join("feed.csv");
    write(&feed, arguments.entries).expect("room for a list");
    let up = Up::start(&options(dir.path(), filesystem.root()));
    let api = up.api();
    let sample = Sample::fresh();
    sample.put(&filesystem.root().join("one"));
    api.wait_known(&sample.sha1);

    let before = asking(&api, &sample.sha1, arguments.rounds);
    println!(
        "{}",
        row("a block's answer, nothing else going on", &ordering(&api, &AtomicBool::new(true), 50))
    );
    let done = AtomicBool::new(false);
    let began = Instant::now();
    let (took, orders) = std::thread::scope(|scope| {
        let orders = scope.spawn(|| ordering(&up.api(), &done, usize::MAX));
        let told = up.cli(&[
            "list",
            "import",
            feed.to_str().expect("a text"),
            "--name",
            "feed",
            "--as",
            "pua",
            "--comment",
            "c",
        ]);
        let took = began.elapsed();
        done.store(true, Ordering::Relaxed);
        print!("{told}");
        (took, orders.join().expect("orders are given"))
    });
    let text = fs::metadata(&feed).expect("the list").len();
    println!(
        "{} entries, {:.0} MB of CSV: imported in {:.1} s, {:.0} entries a second",
        arguments.entries,
        text as f64 / 1e6,
        took.as_secs_f64(),
        arguments.entries as f64 / took.as_secs_f64()
    );
    let on_disk = size_of(&Path::new(up.field("dataDir")).join("lists"));
    println!("on the disk: {:.1} bytes an entry", on_disk as f64 / arguments.entries as f64);
    let status = fs::read_to_string(format!("/proc/{}/status", up.pid())).unwrap_or_default();
    let memory = status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"));
    println!("the server's memory: {}", memory.collect::<Vec<_>>().join(", ").replace('\t', " "));
    println!("{}", row("a block's answer, while the list comes", &orders));
    let most = percentile(&orders, 1.0);
    println!("  bar {BAR} ms: {}", if most <= BAR { "holds" } else { "does not hold" });
    println!("{}", row("GET a file, without a list", &before));
    println!("{}", row("GET a file, with the list", &asking(&api, &sample.sha1, arguments.rounds)));
    up.stop();
}

/// Random enough, and the same in each run.
fn write(path: &Path, entries: u64) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "first_seen,sha256_hash,signature")?;
    for number in 0..entries {
        let mut word = number.wrapping_add(1);
        write!(file, "2026-01-01,")?;
        for _ in 0..4 {
            word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            word ^= word >> 31;
            write!(file, "{word:016x}")?;
        }
        writeln!(file, ",Some.Threat.{}", number % 97)?;
    }
    file.flush()
}

/// Orders one after the other, until it is done or there are so many.
fn ordering(api: &Api, done: &AtomicBool, most: usize) -> Vec<Duration> {
    let mut all = Vec::new();
    while all.len() < most && (most < usize::MAX || !done.load(Ordering::Relaxed)) {
        let hash = format!("{:040x}", all.len() as u64 + most as u64 % 1000 + 1);
        let began = Instant::now();
        api.block(&hash);
        all.push(began.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
    all
}

fn asking(api: &Api, hash: &str, rounds: usize) -> Vec<Duration> {
    let path = format!("/api/files/{hash}");
    let ask = |_| {
        let began = Instant::now();
        assert_eq!(api.get(&path).0, 200);
        began.elapsed()
    };
    (0..rounds).map(ask).collect()
}

fn size_of(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => size_of(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}
