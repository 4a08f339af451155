//! `quell up`: a whole fleet of one. The server runs in this process; the warden is its child, guard and agent are
//! the warden's, and all end with it, however it ends.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc;

use server::config::RateLimit;
use server::samples::Limits;

use crate::data_dir::DataDir;
use crate::failure::Failure;

mod directory;
mod listen;
mod lock;
mod ready_file;

mod plane;

mod demo;
mod machine;
mod sample;

mod child;
mod family;

mod event;
mod greeting;
mod ready;
mod sweep;

use event::Event;
use family::Family;
use machine::Machine;
use plane::Plane;
use ready_file::ReadyFiles;

/// What the role is told.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    data_dir: DataDir,
    /// Where to serve the API: a loopback address, as it is plain HTTP
    #[arg(long, value_name = "ADDR", default_value = listen::DEFAULT, value_parser = listen::parse)]
    listen: SocketAddr,
    /// The filesystems whose files are to be known; what is guarded always is [default: all local ones]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    watch: Vec<PathBuf>,
    /// The filesystems where execution is denied and acts take place, or `none`; `/` means all local ones
    /// [default: a small one to try it on, `demo` in the data directory]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    guard: Vec<PathBuf>,
    /// How many calls an application may make to each API: `default` (100 a minute, 1500 an hour), `off`, or
    /// for example `20/min,300/h`
    #[arg(long, value_name = "LIMIT", default_value = "default")]
    rate_limit: RateLimit,
    /// How many bytes all collected samples may have together
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().quota)]
    sample_quota: u64,
    /// How many bytes one of them may have
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().largest)]
    largest_sample: u64,
    #[command(flatten)]
    lever: crate::agent::release::Lever,
    #[command(flatten)]
    brake: crate::agent::brake::Brake,
    #[command(flatten)]
    retention: crate::agent::retention::Retention,
    /// Write how to reach the server to this file once all of it works
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// Runs until Ctrl-C or SIGTERM.
///
/// Children are started by this thread alone: to the kernel it is the starting thread with which they end,
/// and this one lives as long as the process.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let (events, inbox) = mpsc::channel();
    event::hear_signals(events.clone())?;

    let data_dir = directory::prepare(&args.data_dir.path())?;
    let _lock = lock::Lock::take(&data_dir)?;
    let ready_files = ReadyFiles::prepare(&data_dir, args.ready_file)?;
    let machine = Machine::plan(&args.watch, &args.guard)?;

    let samples = Limits { quota: args.sample_quota, largest: args.largest_sample };
    let plane = Plane::start(&data_dir, args.listen, args.rate_limit, samples, ready_files.last())?;
    let profile = plane.profile(&data_dir);
    let machine = machine.prepare(&data_dir, plane.organization())?;
    let local = args.lever.flags().into_iter().chain(args.brake.flags());
    let local = local.chain(args.retention.flags()).collect();
    let mut family = Family::of(machine.warden(&data_dir, plane.machine(), plane.organization(), local));
    family.tend();
    ready::watch(&data_dir, plane.address(), machine.wanted(), events.clone());

    let mut ended = Ok(());
    loop {
        match family.wait(&inbox) {
            Event::Stop => break,
            Event::ChildEnded => {}
            Event::Ready(lacking) => {
                if let Err(failure) = ready_files.write(&profile) {
                    ended = Err(failure);
                    break;
                }
                greeting::greet(&profile, &machine, lacking.as_deref());
                if !family.is_empty() {
                    sweep::tell(&data_dir);
                }
            }
        }
        family.tend();
    }
    greeting::leave(&machine);
    family.stop(&inbox);
    plane.stop();
    // Unmounts the demo, last: guard and agent have let go of it.
    drop(machine);
    ended
}
