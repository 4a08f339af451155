//! What it costs to know a filesystem of many small files: processor time, memory, and room on the disk; and what it
//! costs when a directory of many files is renamed. All files are scripts and programs that differ, so that each of
//! them is read and hashed.

#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use model::{MachineId, OrganizationId};
use serde_json::Value;
use tests::command::run;
use tests::footprint::{memory, processor_time};
use tests::up::binary;

#[derive(Parser)]
struct Arguments {
    /// How many files there are.
    #[arg(long, default_value_t = 1_000_000)]
    files: u64,
    /// How many of them are in the directory that is renamed.
    #[arg(long, default_value_t = 100_000)]
    renamed: u64,
    /// Percent of a processor; each is a sweep of its own. 0 is without pace.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 0])]
    pace: Vec<u32>,
    /// Leave hashdeep out.
    #[arg(long)]
    alone: bool,
}

const MIB: f64 = 1_048_576.0;
const BAR_MINUTES: f64 = 10.0;
const BAR_SHARE: f64 = 10.0;
const BAR_BYTES: f64 = 200.0;
const BAR_GROWTH: f64 = 20.0;
/// Files in an ordinary directory.
const TOGETHER: u64 = 1000;
/// The smallest and the largest file.
const SIZES: (u64, u64) = (600, 4000);

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if !tests::is_private() {
        std::process::exit(2);
    }
    let dir = tempfile::tempdir()?;
    let files = ground(dir.path(), arguments.files)?;
    let result = measure(&arguments, dir.path(), &files);
    sys::mounts::unmount_lazily(&files)?;
    result
}

fn measure(arguments: &Arguments, dir: &Path, files: &Path) -> anyhow::Result<()> {
    let begun = Instant::now();
    let bytes = fill(files, arguments)?;
    let count = arguments.files;
    println!("{count} files, {} MiB, made in {:.0} s", bytes >> 20, begun.elapsed().as_secs_f64());
    for pace in &arguments.pace {
        sweep(arguments, dir, files, *pace)?;
    }
    if !arguments.alone {
        forget_cache(files)?;
        let begun = Instant::now();
        let before = children_time();
        let hashed = run(Command::new("hashdeep").args(["-j0", "-r", "-c", "md5,sha1,sha256"]).arg(files))?;
        let took = begun.elapsed().as_secs_f64();
        let lines = hashed.lines().filter(|line| !line.starts_with(['#', '%'])).count();
        let used = children_time() - before;
        println!("hashdeep -j0 (md5, sha1, sha256): {lines} files, {took:.1} s, {used:.1} s of a processor");
    }
    Ok(())
}

fn sweep(arguments: &Arguments, dir: &Path, files: &Path, pace: u32) -> anyhow::Result<()> {
    let data = dir.join(format!("data-{pace}"));
    fs::create_dir(&data)?;
    let organization = OrganizationId::random();
    tests::plane::pretend(&data, organization, 1)?;
    forget_cache(files)?;
    // What it takes anyway, by a filesystem of one file: at most while it starts, and afterwards.
    let (at_start, idle, started) = {
        let (few, data) = (dir.join(format!("few-{pace}")), dir.join(format!("data-few-{pace}")));
        fs::create_dir(&few)?;
        fs::create_dir(&data)?;
        sys::mounts::mount_tmpfs(&few, 1 << 20)?;
        tests::plane::pretend(&data, organization, 1)?;
        fs::write(few.join("script"), "#!/bin/sh\n")?;
        let agent = Agent::start(&data, &few, organization, pace)?;
        let at_start = agent.wait(&data, 1)?;
        std::thread::sleep(Duration::from_secs(3));
        let idle = memory(agent.pid())?.pss;
        let started = processor_time(agent.pid())? as f64 / 1e9;
        drop(agent);
        sys::mounts::unmount_lazily(&few)?;
        (at_start.max(idle), idle, started)
    };
    let words = if pace == 0 { "without pace".to_owned() } else { format!("at {pace} % of a processor") };
    println!("{words}:");
    let begun = Instant::now();
    let agent = Agent::start(&data, files, organization, pace)?;
    let most = agent.wait(&data, arguments.files)?;
    let took = begun.elapsed().as_secs_f64();
    let used = processor_time(agent.pid())? as f64 / 1e9;
    std::thread::sleep(Duration::from_secs(3));
    let after = memory(agent.pid())?.pss;
    let count = arguments.files as f64;
    let (million, share) = (1e6 / count, 100.0 * used / took);
    let minutes = took * million / 60.0;
    println!(
        "  sweep: {took:.1} s, {used:.1} s of a processor, {started:.1} of them for what every start takes ({:.1} us a file, {share:.1} %), {} files read",
        (used - started) * 1e6 / count,
        status(&data)?["filesRead"]
    );
    if pace != 0 {
        let holds = minutes <= BAR_MINUTES && share <= BAR_SHARE * 1.05;
        println!(
            "  bar: a million files in {minutes:.1} of {BAR_MINUTES} minutes at {share:.1} of {BAR_SHARE} % of a processor: {}",
            word(holds)
        );
    }
    let index = fs::metadata(data.join("inventory.redb"))?;
    let a_file = index.len() as f64 / count;
    println!(
        "  bar: index {a_file:.0} of {BAR_BYTES} bytes a file ({} MiB, {} on the disk): {}",
        index.len() >> 20,
        (index.blocks() * 512) >> 20,
        word(a_file <= BAR_BYTES)
    );
    let growth = (most as f64 - at_start as f64).max(after as f64 - idle as f64) / MIB;
    println!(
        "  bar: PSS grows by {growth:.1} of {BAR_GROWTH} MiB at most (at most {:.1} with one file, {:.1} with all; at rest {:.1}, {:.1}): {}",
        at_start as f64 / MIB,
        most as f64 / MIB,
        idle as f64 / MIB,
        after as f64 / MIB,
        word(growth <= BAR_GROWTH)
    );
    rename(&agent, &data, files, arguments.renamed)?;
    again(agent, arguments, &data, files, organization, pace)
}

/// A directory of many files gets another name.
fn rename(agent: &Agent, data: &Path, files: &Path, count: u64) -> anyhow::Result<()> {
    let [many, renamed] = ["many", "renamed"].map(|name| files.join(name));
    let seen = status(data)?["filesRead"].as_u64();
    let (used, begun) = (processor_time(agent.pid())?, Instant::now());
    fs::rename(&many, &renamed)?;
    // The server hears of each; when nothing more waits, all is done.
    let mut still = 0;
    while still < 30 {
        std::thread::sleep(Duration::from_millis(100));
        still = if status(data)?["spoolWaiting"] == 0 { still + 1 } else { 0 };
    }
    let used = (processor_time(agent.pid())? - used) as f64 / 1e9;
    let hashed = status(data)?["filesRead"].as_u64().context("a number")? - seen.context("a number")?;
    println!(
        "  bar: rename of a directory of {count} files: {hashed} files read, {used:.2} s of a processor, all told to the server after {:.1} s: {}",
        begun.elapsed().as_secs_f64() - 3.0,
        word(hashed == 0)
    );
    fs::rename(&renamed, &many)?;
    Ok(())
}

/// The agent is started once more.
fn again(
    agent: Agent,
    arguments: &Arguments,
    data: &Path,
    files: &Path,
    organization: OrganizationId,
    pace: u32,
) -> anyhow::Result<()> {
    std::thread::sleep(Duration::from_secs(3));
    drop(agent);
    let begun = Instant::now();
    let agent = Agent::start(data, files, organization, pace)?;
    agent.wait(data, arguments.files)?;
    let used = processor_time(agent.pid())? as f64 / 1e9;
    println!(
        "  the same once more after a restart: {:.1} s, {used:.1} s of a processor, {} files read",
        begun.elapsed().as_secs_f64(),
        status(data)?["filesRead"]
    );
    Ok(())
}

/// An agent without guard.
struct Agent(Child);

impl Agent {
    fn start(data: &Path, files: &Path, organization: OrganizationId, pace: u32) -> anyhow::Result<Self> {
        let mut command = Command::new(binary());
        command.args(["agent", "work", "--guard", "none", "--data-dir"]).arg(data);
        command.arg("--watch").arg(files).args(["--machine", &MachineId([7; 20]).to_string()]);
        command.args(["--organization", &organization.to_string()]);
        command.args(["--sweep-pace", &pace.to_string()]);
        command.args(["--parent", &std::process::id().to_string()]).stdin(Stdio::null());
        Ok(Self(command.spawn()?))
    }

    fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }

    /// Waits until all is known and told; the most memory that it had.
    fn wait(&self, data: &Path, files: u64) -> anyhow::Result<u64> {
        let patience = Duration::from_secs(60 + files / 500);
        let begun = Instant::now();
        let mut most = 0;
        loop {
            anyhow::ensure!(begun.elapsed() < patience, "not all is known after {patience:?}");
            std::thread::sleep(Duration::from_millis(200));
            most = most.max(memory(self.pid())?.pss);
            let Ok(status) = status(data) else { continue };
            let known = status["filesKnown"].as_u64().context("a number")?;
            let is_complete = status["sweeping"].is_null() && status["programsComplete"] == true;
            if is_complete && status["sweepSeen"].as_u64() >= Some(files) && status["spoolWaiting"] == 0 {
                anyhow::ensure!(known == files, "{known} of {files} files are known");
                return Ok(most);
            }
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.0),
            rustix::process::Signal::TERM,
        );
        let _ = self.0.wait();
    }
}

/// An ext4 on a loop device with room for so many files.
fn ground(dir: &Path, files: u64) -> anyhow::Result<PathBuf> {
    let (root, image) = (dir.join("files"), dir.join("image"));
    fs::create_dir(&root)?;
    File::create(&image)?.set_len((256 << 20) + files * 5120)?;
    let inodes = (files + files / 100 + 10_000).to_string();
    run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0", "-N", &inodes]).arg(&image))?;
    mount(&root)?;
    Ok(root)
}

/// Scripts, and every fourth the head of a program with something of its own behind it.
fn fill(root: &Path, arguments: &Arguments) -> anyhow::Result<u64> {
    let elf = fs::read("/bin/true")?;
    let mut bytes = 0;
    for number in 0..arguments.files {
        let directory = if number < arguments.renamed {
            root.join("many").join((number % 10).to_string())
        } else {
            root.join((number / TOGETHER / 100).to_string()).join((number / TOGETHER).to_string())
        };
        if number < arguments.renamed || number % TOGETHER == 0 || number == arguments.renamed {
            fs::create_dir_all(&directory)?;
        }
        let size = SIZES.0 + number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (SIZES.1 - SIZES.0);
        let mut content = if number % 4 == 0 { elf[..512].to_vec() } else { b"#!/bin/sh\n".to_vec() };
        writeln!(content, "# {number}")?;
        content.resize(usize::try_from(size)?, b'x');
        let path = directory.join(format!("program-{number}"));
        fs::write(&path, content)?;
        if number % 4 == 0 {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
        bytes += size;
    }
    rustix::fs::sync();
    Ok(bytes)
}

/// Mounts the files anew, so that nothing of them is in the cache of their filesystem. What the loop device's image is
/// read from may well be.
fn forget_cache(files: &Path) -> anyhow::Result<()> {
    run(Command::new("umount").arg(files))?;
    mount(files)
}

fn mount(files: &Path) -> anyhow::Result<()> {
    run(Command::new("mount").args(["-o", "loop"]).arg(files.with_file_name("image")).arg(files))?;
    Ok(())
}

/// Seconds of a processor of the children that have ended.
fn children_time() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = text.rsplit(") ").next().unwrap_or_default();
    let fields: Vec<f64> = after.split(' ').filter_map(|field| field.parse().ok()).collect();
    // cutime and cstime, in hundredths; the first field is a letter and left out.
    fields.get(12..14).map_or(0.0, |times| times.iter().sum::<f64>() / 100.0)
}

fn status(data: &Path) -> anyhow::Result<Value> {
    let mut command = Command::new(binary());
    command.args(["agent", "status", "-o", "json", "--data-dir"]).arg(data);
    Ok(serde_json::from_slice(&command.output()?.stdout)?)
}

fn word(holds: bool) -> &'static str {
    if holds { "holds" } else { "FALLS SHORT" }
}
