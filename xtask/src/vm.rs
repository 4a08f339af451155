//! Runs what this host's kernel refuses in an emulated machine with a kernel as Debian ships it, as root.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::house::House;
use crate::packages::{Needed, missing, on_path, provide};
use kernel::Kernel;
use machine::Machine;
use marks::End;
use order::Order;

pub(crate) mod bench;
mod built;
pub(crate) mod guest;
mod image;
mod kernel;
mod machine;
mod marks;
mod order;
mod plan;
mod programs;
pub(crate) mod suite;
mod toolchain;

/// Programs of the host that make the machine, or are put into it.
const NEEDED: &[Needed] = &[
    ("apt-cache", "apt"),
    ("cc", "gcc"),
    ("depmod", "kmod"),
    ("dpkg-deb", "dpkg"),
    ("getfacl", "acl"),
    ("getfattr", "attr"),
    ("kill", "procps"),
    ("ip", "iproute2"),
    ("ldd", "libc-bin"),
    ("mkfs.ext4", "e2fsprogs"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("strip", "binutils"),
    ("timeout", "coreutils"),
];

/// One command in the guest.
#[derive(clap::Args)]
pub(crate) struct RunArgs {
    /// Series of the kernel.
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// A file or directory for the guest, at the same place there if none is given. Programs bring their libraries.
    #[arg(long, value_name = "HOSTPATH[:GUESTPATH]")]
    put: Vec<String>,
    /// Something for the command's environment.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Seconds after which the command is killed.
    #[arg(long, default_value_t = 600)]
    limit: u32,
    /// Processors of the guest.
    #[arg(long, default_value_t = 2)]
    cpus: u32,
    /// Its memory, in MiB.
    #[arg(long, default_value_t = 2048)]
    memory: u32,
    /// Give it a C compiler.
    #[arg(long)]
    cc: bool,
    /// Let its time be the number of its instructions, a nanosecond each (one processor).
    #[arg(long)]
    count: bool,
    /// Program and arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Runs one command; its exit code, or 125 if the machine is at fault.
pub(crate) fn run(house: &House, args: &RunArgs) -> Result<u8> {
    ready(house)?;
    let kernel = Kernel::fetch(house, &args.kernel)?;
    let mut image = programs::image(&kernel)?;
    if args.cc {
        toolchain::put(&mut image)?;
    }
    for put in &args.put {
        let (from, to) = put.split_once(':').unwrap_or((put, put));
        let from = std::fs::canonicalize(from).with_context(|| format!("cannot find {from}"))?;
        let to = if put.contains(':') { Path::new(to).to_owned() } else { from.clone() };
        image.put(&from, &to.to_string_lossy())?;
    }
    let split = |pair: &String| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let environment = args.env.iter().map(|pair| split(pair).context("--env takes NAME=VALUE"));
    let order = Order {
        name: args.command.join(" "),
        arguments: args.command.clone(),
        environment: environment.collect::<Result<_>>()?,
        seconds: args.limit,
    };
    let machine = Machine {
        kernel: &kernel,
        processors: if args.count { 1 } else { args.cpus },
        megabytes: args.memory,
        counts_instructions: args.count,
    };
    let run = machine.run(house, image, &[order])?;
    let boot = run.boot.map_or("never".to_owned(), |boot| format!("{:.1} s", boot.as_secs_f64()));
    let answer = run.answers.first();
    let took = answer.map_or(0.0, |answer| answer.took.as_secs_f64());
    eprintln!("[{} booted in {boot}, the command took {took:.1} s]", kernel.release);
    if let Some(fault) = &run.fault {
        eprintln!("{}\n[{fault}; its whole log: {}]", run.tail(), run.log.display());
        return Ok(125);
    }
    Ok(match answer.and_then(|answer| answer.end) {
        Some(End::Exit(code)) => u8::try_from(code).unwrap_or(125),
        Some(other) => {
            eprintln!("[the command ended: {other}]");
            125
        }
        None => 125,
    })
}

/// Whether this host can emulate, after installing what is missing.
fn ready(house: &House) -> Result<()> {
    if std::env::consts::ARCH != "x86_64" {
        bail!("the emulated machine is an x86-64 one, this host is not");
    }
    provide(house, NEEDED);
    let missing = missing(NEEDED, |program| on_path(program).is_some());
    if !missing.is_empty() {
        bail!("missing packages: {}", missing.join(" "));
    }
    Ok(())
}
