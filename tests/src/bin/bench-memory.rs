//! What the agent takes of a machine that has nothing for it to do: memory of all its processes together, and
//! processor time, with many files known and the server attached.

#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use model::{MachineId, OrganizationId};
use serde_json::Value;
use tests::footprint::{Memory, family, memory, processor_time, role};
use tests::up::binary;

#[derive(Parser)]
struct Arguments {
    /// Files that are known.
    #[arg(long, default_value_t = 100_000)]
    files: u32,
    /// Rules in force.
    #[arg(long, default_value_t = 1000)]
    rules: u32,
    /// Seconds for which nothing is done.
    #[arg(long, default_value_t = 60)]
    idle: u64,
}

const MIB: f64 = 1_048_576.0;
/// The most that all processes may take together.
const BAR_MEMORY: f64 = 30.0;
/// The most of a core, in percent.
const BAR_IDLE: f64 = 0.1;
/// Files in one directory.
const TOGETHER: u32 = 1000;
/// After all is known, until caches are given back and threads rest.
const SETTLE: Duration = Duration::from_secs(15);

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if !tests::is_private() {
        std::process::exit(2);
    }
    let dir = tempfile::tempdir()?;
    let [data, files] = ["data", "files"].map(|name| dir.path().join(name));
    fs::create_dir(&data)?;
    fs::create_dir(&files)?;
    sys::mounts::mount_tmpfs(&files, u64::from(arguments.files) * 8192 + (64 << 20))?;
    fill(&files, arguments.files)?;
    let organization = OrganizationId::random();
    tests::plane::pretend(&data, organization, arguments.rules)?;

    let begun = Instant::now();
    let agent = Agent::start(&data, &files, organization)?;
    wait_until_known(&agent, &data, &arguments)?;
    println!(
        "{} files known after {:.1} s, {} rules",
        arguments.files,
        begun.elapsed().as_secs_f64(),
        arguments.rules
    );
    std::thread::sleep(SETTLE);

    let held = report_memory(&agent)?;
    let busy = report_idle(&agent, arguments.idle)?;
    let after = report_memory(&agent)?;
    let most = held.pss.max(after.pss) as f64 / MIB;
    println!("bar: sum of PSS {most:.1} MiB of {BAR_MEMORY}: {}", word(most <= BAR_MEMORY));
    println!("bar: idle {busy:.3} % of a core of {BAR_IDLE}: {}", word(busy <= BAR_IDLE));
    drop(agent);
    sys::mounts::unmount_lazily(&files)?;
    Ok(())
}

/// The agent's eldest process, and the guard where that one does not start it.
struct Agent {
    eldest: Vec<Child>,
}

impl Agent {
    fn start(data: &Path, files: &Path, organization: OrganizationId) -> anyhow::Result<Self> {
        let begin = |verb: &str| {
            let mut command = Command::new(binary());
            command.args(["agent", verb, "--data-dir"]).arg(data).arg("--guard").arg(files);
            command.args(["--parent", &std::process::id().to_string()]).stdin(Stdio::null());
            command
        };
        let mut run = begin("run");
        run.arg("--watch").arg(files).args(["--machine", &MachineId([7; 20]).to_string()]);
        run.args(["--organization", &organization.to_string()]);
        let mut eldest = vec![run.spawn()?];
        if !starts_its_guard() {
            eldest.push(begin("guard").spawn()?);
        }
        Ok(Self { eldest })
    }

    fn processes(&self) -> Vec<i32> {
        self.eldest.iter().flat_map(|eldest| family(eldest.id().cast_signed())).collect()
    }
}

/// Whether `agent run` is the warden, and guard and agent are its children.
fn starts_its_guard() -> bool {
    let known = Command::new(binary()).args(["agent", "work", "--help"]).output();
    known.is_ok_and(|output| output.status.success())
}

impl Drop for Agent {
    fn drop(&mut self) {
        for eldest in &mut self.eldest {
            let _ = eldest.kill();
            let _ = eldest.wait();
        }
    }
}

/// Small programs and scripts, all different.
fn fill(root: &Path, files: u32) -> std::io::Result<()> {
    let elf = fs::read("/bin/true")?;
    for number in 0..files {
        let directory = root.join((number / TOGETHER).to_string());
        if number % TOGETHER == 0 {
            fs::create_dir(&directory)?;
        }
        let path = directory.join(format!("program-{number}"));
        // The head of a program is enough to be one for whoever does not run it.
        let content = if number % 2 == 0 {
            [&elf[..1024.min(elf.len())], &number.to_le_bytes()].concat()
        } else {
            format!("#!/bin/sh\nexit {number}\n").into_bytes()
        };
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn wait_until_known(agent: &Agent, data: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let patience = Duration::from_secs(60 + u64::from(arguments.files) / 200);
    tests::wait_for("all files to be known", patience, || {
        assert!(!agent.processes().is_empty());
        std::thread::sleep(Duration::from_millis(500));
        let status = status(data).ok()?;
        let known = status["filesKnown"].as_u64()? >= u64::from(arguments.files);
        let told = status["spoolWaiting"] == 0 && status["firstSweepComplete"] == true;
        let enforced = status["inForce"] == true && status["rules"].as_u64()? == u64::from(arguments.rules);
        (known && told && enforced && status["attached"] == true).then_some(())
    });
    Ok(())
}

fn status(data: &Path) -> anyhow::Result<Value> {
    let mut command = Command::new(binary());
    command.args(["agent", "status", "-o", "json", "--data-dir"]).arg(data);
    Ok(serde_json::from_slice(&command.output()?.stdout)?)
}

fn report_memory(agent: &Agent) -> anyhow::Result<Memory> {
    let mut sum = Memory::default();
    for pid in agent.processes() {
        let one = memory(pid)?;
        println!(
            "  {:<20} PSS {:>6.1} MiB, RSS {:>6.1} MiB",
            role(pid),
            one.pss as f64 / MIB,
            one.rss as f64 / MIB
        );
        sum.pss += one.pss;
        sum.rss += one.rss;
    }
    println!("  {:<20} PSS {:>6.1} MiB, RSS {:>6.1} MiB", "all", sum.pss as f64 / MIB, sum.rss as f64 / MIB);
    Ok(sum)
}

/// Percent of a core while nobody does anything.
fn report_idle(agent: &Agent, seconds: u64) -> anyhow::Result<f64> {
    let processes = agent.processes();
    let times = || processes.iter().map(|pid| processor_time(*pid)).collect::<anyhow::Result<Vec<_>>>();
    let (begun, before) = (Instant::now(), times()?);
    std::thread::sleep(Duration::from_secs(seconds));
    let (took, after) = (begun.elapsed().as_nanos() as f64, times().context("one ended meanwhile")?);
    let mut all = 0.0;
    for (pid, (after, before)) in processes.iter().zip(after.iter().zip(&before)) {
        let part = 100.0 * (after - before) as f64 / took;
        println!("  {:<20} {part:.4} % of a core in {seconds} s", role(*pid));
        all += part;
    }
    Ok(all)
}

fn word(holds: bool) -> &'static str {
    if holds { "holds" } else { "FALLS SHORT" }
}
