//! The emulated machine: one boot, some orders, what came of them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::image::Image;
use super::kernel::Kernel;
use super::marks::{End, Mark, ORDERS, PORT};
use super::order::Order;
use crate::house::House;

/// Seconds that a boot may take beside its orders.
const BOOT: u32 = 300;
/// What the kernel's log holds when something is wrong with the kernel itself.
const COMPLAINTS: &[&str] = &["Kernel panic", "BUG: ", "Oops: ", "general protection fault", "guest-init: "];
/// A host that lets the emulated machine wait is not the guest's fault.
const HOST_WAS_BUSY: &[&str] = &["soft lockup", "workqueue lockup"];

/// What the machine is made of.
pub(crate) struct Machine<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) processors: u32,
    pub(crate) megabytes: u32,
    /// Its time is the number of instructions it has done, a nanosecond each; one processor only.
    pub(crate) counts_instructions: bool,
}

/// What came of an order.
pub(crate) struct Answer {
    /// None if the machine ended before the command did.
    pub(crate) end: Option<End>,
    pub(crate) lines: Vec<String>,
    pub(crate) took: Duration,
}

/// What came of a boot.
pub(crate) struct Run {
    /// Of those orders that were begun.
    pub(crate) answers: Vec<Answer>,
    /// From the start of the emulator to the first order.
    pub(crate) boot: Option<Duration>,
    /// Why this boot proves nothing, if so: it hung, the kernel panicked or complained.
    pub(crate) fault: Option<String>,
    /// What the kernel said.
    pub(crate) log: PathBuf,
}

impl Machine<'_> {
    /// Boots it with `image`, which is given the orders, and shows what they print as it comes.
    pub(crate) fn run(&self, house: &House, mut image: Image, orders: &[Order]) -> Result<Run> {
        let directory = house.target().join("vm").join(format!("run-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let word = secret_word();
        image.put(&std::env::current_exe()?, "/init")?;
        image.text(&format!("{ORDERS}/word"), &word);
        for (order, number) in orders.iter().zip(0..) {
            for (name, text) in order.files() {
                image.text(&format!("{ORDERS}/{number}/{name}"), text);
            }
        }
        let (archive, log) = (directory.join("image"), directory.join("console"));
        image.write(&archive)?;
        let limit = BOOT + orders.iter().map(|order| order.seconds + 10).sum::<u32>();
        let mut command = self.command(house.limited(limit), &archive, &log);
        let begun = Instant::now();
        let mut emulator =
            command.stdout(Stdio::piped()).spawn().context("cannot start qemu-system-x86_64")?;
        let output = emulator.stdout.take().context("no output")?;
        let mut run = Run { answers: Vec::new(), boot: None, fault: None, log };
        let done = run.follow(BufReader::new(output), orders, &word, begun)?;
        let status = emulator.wait()?;
        let said = std::fs::read(&run.log).unwrap_or_default();
        run.fault = fault(&String::from_utf8_lossy(&said), done, status.code(), limit);
        std::fs::remove_file(archive)?;
        Ok(run)
    }

    fn command(&self, mut command: Command, archive: &Path, log: &Path) -> Command {
        let threads = if self.counts_instructions { "single" } else { "multi" };
        let accelerator = format!("tcg,thread={threads},tb-size=256");
        command.args(["qemu-system-x86_64", "-accel", &accelerator, "-cpu", "max", "-machine", "q35"]);
        if self.counts_instructions {
            command.args(["-icount", "shift=0,sleep=off"]);
        }
        command.args(["-smp", &self.processors.to_string(), "-m", &self.megabytes.to_string()]);
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        command.arg("-kernel").arg(self.kernel.image()).arg("-initrd").arg(archive);
        command.args(["-append", "console=ttyS0 panic=-1 oops=panic random.trust_cpu=on"]);
        command.arg("-chardev").arg(format!("file,id=log,path={}", log.display()));
        // A file, since a chardev that also reads would take the end of our input for the end of the host.
        command.args(["-serial", "chardev:log", "-chardev", "file,id=output,path=/dev/stdout"]);
        command.args(["-device", "virtio-serial-pci"]);
        command.args(["-device", &format!("virtserialport,chardev=output,name={PORT}")]);
        command
    }
}

impl Run {
    /// Reads until the machine is off. Whether it said that all is done.
    fn follow(
        &mut self,
        mut output: impl BufRead,
        orders: &[Order],
        word: &str,
        begun: Instant,
    ) -> Result<bool> {
        let (mut line, mut since, mut done) = (Vec::new(), begun, false);
        while output.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
            line.clear();
            match (Mark::read(&text, word), self.answers.last_mut()) {
                (Some(Mark::Begin(number)), _) => {
                    self.boot.get_or_insert_with(|| begun.elapsed());
                    since = Instant::now();
                    let order = orders.get(number).context("an order that nobody gave")?;
                    if orders.len() > 1 {
                        println!("\n-- {}", order.name);
                    }
                    self.answers.push(Answer { end: None, lines: Vec::new(), took: Duration::ZERO });
                }
                (Some(Mark::End(_, end)), Some(answer)) => {
                    (answer.end, answer.took) = (Some(end), since.elapsed());
                }
                (Some(Mark::Done), _) => done = true,
                (None, Some(answer)) => {
                    println!("{text}");
                    answer.lines.push(text);
                }
                (_, None) => println!("{text}"),
            }
        }
        Ok(done)
    }

    /// The end of what the kernel said, for a person who wants to know why.
    pub(crate) fn tail(&self) -> String {
        let said = std::fs::read(&self.log).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

/// What makes a whole boot void.
fn fault(log: &str, done: bool, code: Option<i32>, limit: u32) -> Option<String> {
    let complaint = log.lines().find(|line| {
        COMPLAINTS.iter().any(|word| line.contains(word))
            && !HOST_WAS_BUSY.iter().any(|word| line.contains(word))
    });
    match complaint {
        Some(line) => Some(format!("the machine says: {}", line.trim())),
        None if code == Some(124) || code == Some(137) => {
            Some(format!("the machine hung: killed after {limit} s"))
        }
        None if !done => Some(format!("the machine went off before all was done (emulator: {code:?})")),
        None => None,
    }
}

/// A word that no output holds by chance.
fn secret_word() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    format!("\u{1b}mark-{:016x}", RandomState::new().build_hasher().finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(name: &str) -> Order {
        Order { name: name.to_owned(), arguments: Vec::new(), environment: Vec::new(), seconds: 1 }
    }

    fn followed(text: &str) -> (Run, bool) {
        let mut run = Run { answers: Vec::new(), boot: None, fault: None, log: PathBuf::new() };
        let done = run.follow(text.as_bytes(), &[order("a"), order("b")], "w", Instant::now()).unwrap();
        (run, done)
    }

    #[test]
    fn answers_are_told_apart() {
        let (run, done) =
            followed("w begin 0\none\nw end 0 exit 0\nw begin 1\ntwo\nw end 1 exit 3\nw done\n");
        let ends: Vec<_> = run.answers.iter().map(|answer| answer.end).collect();
        assert_eq!(ends, [Some(End::Exit(0)), Some(End::Exit(3))]);
        assert_eq!(run.answers[1].lines, ["two"]);
        assert!(done && run.boot.is_some());
    }

    #[test]
    fn a_machine_that_stops_has_no_end() {
        let (run, done) = followed("w begin 0\nhalf");
        assert_eq!((run.answers[0].end, done), (None, false));
    }

    #[test]
    fn faults_name_themselves() {
        assert_eq!(fault("all well\n", true, Some(0), 9), None);
        assert!(fault("", false, Some(124), 9).is_some_and(|why| why.contains("hung")));
        assert!(
            fault("[1] Kernel panic - not syncing\n", false, Some(0), 9)
                .is_some_and(|why| why.contains("panic"))
        );
        assert!(fault("", false, Some(0), 9).is_some_and(|why| why.contains("went off")));
        assert_eq!(fault("watchdog: BUG: soft lockup - CPU#0\n", true, Some(0), 9), None);
    }
}
