//! What the guard costs an exec: a tiny static program, warm, guarded against native, in paired rounds. Beside
//! it, in the same rounds, native against native, which tells how much the machine's noise is worth, and a
//! responder that permits everything without a look, which is the mechanism's floor here and now.

#![forbid(unsafe_code)]

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use clap::Parser;
use serde_json::Value;
use sys::fanotify::EventBuffer;
use sys::fanotify::permission::{About, Answer, PermissionGroup};
use tests::filesystem::Filesystem;
use tests::measure::Median;
use tests::up::{Up, options};

#[derive(Parser)]
struct Arguments {
    /// Paired rounds.
    #[arg(long, default_value_t = 41)]
    rounds: usize,
    /// Execs in each part of a round.
    #[arg(long, default_value_t = 1500)]
    execs: u32,
    /// Rules in force.
    #[arg(long, default_value_t = 1000)]
    rules: u32,
    /// Answer for this filesystem instead, permitting all.
    #[arg(long, hide = true)]
    permit_all: Option<PathBuf>,
}

/// Starts a program again and again with the cheapest means there is, and prints the nanoseconds of one exec.
const LOOP: &str = r#"
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
  long execs = atol(argv[2]);
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  sched_setaffinity(0, sizeof one, &one);
  struct timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  for (long i = 0; i < execs; i++) {
    pid_t pid = vfork();
    if (pid == 0) {
      char *const none[] = {argv[1], NULL};
      execve(argv[1], none, none + 1);
      _exit(127);
    }
    int status;
    if (waitpid(pid, &status, 0) != pid || status != 0) return 1;
  }
  clock_gettime(CLOCK_MONOTONIC, &to);
  printf("%f\n", ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) / execs);
  return 0;
}
"#;

/// The two programs: nothing but an exit, and what a C compiler makes of an empty main.
const PROGRAMS: [(&str, &str, &[&str]); 2] = [
    (
        "no libc",
        "void _start(void) { __asm__ volatile(\"mov $60, %eax; xor %edi, %edi; syscall\"); }",
        &["-static", "-nostdlib"],
    ),
    ("static libc", "int main(void) { return 0; }", &["-static"]),
];

fn main() {
    let arguments = Arguments::parse();
    if !tests::is_private() {
        std::process::exit(2);
    }
    if let Some(directory) = &arguments.permit_all {
        permit_all(directory);
    }
    let places = [(); 4].map(|()| Filesystem::tmpfs());
    let [guarded, native, twin, floor] = &places;
    let execs = compile(LOOP, &["-O2"], &native.root().join("loop"));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let up = Up::start(&options(dir.path(), guarded.root()));
    put_in_force(&up, arguments.rules);
    let responder = Responder::start(floor.root());
    println!(
        "rules in force: {}, rounds: {}, execs a round: {}",
        arguments.rules, arguments.rounds, arguments.execs
    );
    for (name, source, flags) in PROGRAMS {
        let program = compile(source, flags, &native.root().join("tiny"));
        let paths = [guarded, native, twin, floor].map(|place| place.root().join("tiny"));
        for path in paths.iter().filter(|path| **path != program) {
            std::fs::copy(&program, path).expect("room for a tiny program");
        }
        measure(name, &arguments, &up, &execs, &paths);
    }
    drop(responder);
    up.stop();
}

fn measure(name: &str, arguments: &Arguments, up: &Up, execs: &Path, paths: &[PathBuf; 4]) {
    let run = |which: usize| one(execs, &paths[which], arguments.execs);
    for which in 0..4 {
        let _ = run(which);
    }
    let before = questions(up);
    let (mut ratios, mut noise, mut floors, mut bare) = (vec![], vec![], vec![], vec![]);
    for round in 0..arguments.rounds {
        // Another order in each round, so that a drift of the machine favours nobody.
        let mut times = [0.0; 4];
        for step in 0..4 {
            let which = if round % 2 == 0 { (round + step) % 4 } else { (round + 4 - step) % 4 };
            times[which] = run(which);
        }
        ratios.push(times[0] / times[1]);
        noise.push(times[2] / times[1]);
        floors.push(times[3] / times[1]);
        bare.push(times[1] / 1000.0);
    }
    let asked = (questions(up) - before) / (f64::from(arguments.execs) * arguments.rounds as f64);
    let [ratio, noise, floor, bare] = [ratios, noise, floors, bare].map(|values| Median::of(&values));
    let half_width = (noise.high - noise.low) / 2.0;
    println!("{name}:");
    println!("  native exec: {bare} us");
    println!("  native / native: {noise}");
    println!("  floor (permits all, looks at nothing) / native: {floor}");
    println!("  guarded / native: {ratio}");
    println!("  guarded / floor: {:.3}", ratio.middle / floor.middle);
    println!("  questions per exec: {asked:.3}");
    let holds = ratio.low <= 1.25 && ratio.middle <= 1.25 + half_width;
    println!("  bar 1.25: {}", if holds { "holds" } else { "FALLS SHORT" });
}

fn compile(source: &str, flags: &[&str], program: &Path) -> PathBuf {
    let file = program.with_extension("c");
    std::fs::write(&file, source).expect("room for a source");
    let output =
        Command::new("cc").args(flags).arg("-o").arg(program).arg(&file).output().expect("a C compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program.to_owned()
}

/// The time of one exec, in nanoseconds.
fn one(execs: &Path, program: &Path, count: u32) -> f64 {
    let output = Command::new(execs).arg(program).arg(count.to_string()).output().expect("the loop runs");
    assert!(output.status.success(), "every exec succeeds");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("nanoseconds")
}

/// A process of this program that permits everything on a filesystem.
struct Responder(Child);

impl Responder {
    fn start(root: &Path) -> Self {
        let own = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(own);
        let mut child =
            command.arg("--permit-all").arg(root).stdout(Stdio::piped()).spawn().expect("it runs");
        let mut ready = [0; 1];
        let out = child.stdout.as_mut().expect("a pipe");
        std::io::Read::read_exact(out, &mut ready).expect("it says when it is ready");
        Self(child)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn permit_all(directory: &Path) -> ! {
    let root = std::fs::File::open(directory).expect("its filesystem");
    let group = PermissionGroup::new(About::Execs).expect("the right to answer");
    group.mark_filesystem(root.as_fd()).expect("a mark");
    println!("ready");
    let mut buffer = EventBuffer::default();
    loop {
        let mut ready = [rustix::event::PollFd::new(&group, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut ready, None).expect("a poll");
        for question in group.read(&mut buffer).expect("a question") {
            group.answer(question.file.as_fd(), Answer::Permit).expect("an answer");
        }
    }
}

fn put_in_force(up: &Up, rules: u32) {
    let api = up.api();
    for rule in 0..rules {
        api.block(&format!("{rule:040x}"));
    }
    let count = || status(up)["rules"].as_u64().is_some_and(|held| held >= u64::from(rules));
    tests::wait_for("the rules to be in force", std::time::Duration::from_secs(30), || count().then_some(()));
}

fn questions(up: &Up) -> f64 {
    status(up)["counters"]["questions"].as_f64().unwrap_or_default()
}

fn status(up: &Up) -> Value {
    let text = up.cli(&["agent", "status", "-o", "json", "--data-dir", up.field("dataDir")]);
    serde_json::from_str(&text).expect("JSON")
}
