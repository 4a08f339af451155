//! Which programs are attached where, on which kernel.
//!
//! What forgets verdicts is attached before what remembers any. Every open by user space costs what a program costs at
//! `file_post_open`, so that this one does all there is to do; what the kernel opens for itself does not come there, and
//! is noticed where those functions end that open it. Where one of these is missing, a second program at `file_open`
//! notices all.

use std::io;

use aya::programs::links::FdLink;
use aya::programs::{FExit, Lsm, ProgramError};
use aya::{Btf, Ebpf};

use super::other;

/// Does nothing. Where it does not load, no other would.
const PROBE: Program = lsm("quell_probe", "file_open");
/// Notices each open for writing.
const OPEN: Program = lsm("quell_open", "file_open");
/// As above for user space, and judges what interpreters read.
const READ: Program = lsm("quell_read", "file_post_open");
/// Notice what the kernel opens for itself to write.
const WITHIN: [Program; 3] = [
    exit("quell_opened_below", "backing_file_open"),
    exit("quell_opened_within", "dentry_open"),
    exit("quell_opened_alone", "kernel_file_open"),
];
/// Only where the kernel has hooks by path (CONFIG_SECURITY_PATH), as those of all distributions do.
const CUT: Program = lsm("quell_cut", "path_truncate");
const JUDGES: [Program; 3] = [
    lsm("quell_protect", "file_mprotect"),
    lsm("quell_map", "mmap_file"),
    lsm("quell_exec", "bprm_check_security"),
];
/// Tells the prober what the kernel makes of a file that it maps.
pub(super) const ANSWER: WhileNeeded = WhileNeeded(lsm("quell_answer", "mmap_file"));
/// Takes what the prober opens for an interpreter.
pub(super) const MEET: WhileNeeded = WhileNeeded(lsm("quell_meet", "file_open"));

#[derive(Clone, Copy)]
enum Kind {
    Lsm,
    Exit,
}

/// One of the object's programs, and the hook or function that it is for.
#[derive(Clone, Copy)]
struct Program {
    name: &'static str,
    at: &'static str,
    kind: Kind,
}

const fn lsm(name: &'static str, at: &'static str) -> Program {
    Program { name, at, kind: Kind::Lsm }
}

const fn exit(name: &'static str, at: &'static str) -> Program {
    Program { name, at, kind: Kind::Exit }
}

/// A program that costs nothing most of the time, as it is not attached.
#[derive(Clone, Copy)]
pub(super) struct WhileNeeded(Program);

impl WhileNeeded {
    /// Attached as long as what is returned lives.
    pub(super) fn attach(self, ebpf: &mut Ebpf) -> io::Result<FdLink> {
        self.0.attach(ebpf)
    }
}

/// What this kernel has hooks for.
#[derive(Debug)]
pub(super) struct Hooks {
    cuts: bool,
    reads: bool,
    within: bool,
}

/// Whether the kernel takes such programs at all.
pub(super) fn try_out(ebpf: &mut Ebpf, btf: &Btf) -> io::Result<()> {
    PROBE.load(ebpf, btf).map_err(|error| refused(PROBE.at, error))?;
    drop(PROBE.attach(ebpf)?);
    PROBE.lsm(ebpf)?.unload().map_err(other)
}

impl Hooks {
    pub(super) fn load(ebpf: &mut Ebpf, btf: &Btf) -> io::Result<Self> {
        for program in JUDGES.into_iter().chain([OPEN, ANSWER.0, MEET.0]) {
            program.load(ebpf, btf).map_err(|error| refused(program.at, error))?;
        }
        let cuts = CUT.load_if_there(ebpf, btf)?;
        // The hook is not there; or it is, and no program may sleep in it (before 6.12).
        let reads = READ.load_if_there(ebpf, btf)?;
        let mut within = reads;
        for program in WITHIN {
            within = within && program.load_if_there(ebpf, btf)?;
        }
        Ok(Self { cuts, reads, within })
    }

    pub(super) fn judge_scripts(&self) -> bool {
        self.reads
    }

    pub(super) fn ask_once(&self) -> bool {
        self.within
    }

    /// Attaches all that is needed, each with its name.
    pub(super) fn attach(&mut self, ebpf: &mut Ebpf) -> io::Result<Vec<(&'static str, FdLink)>> {
        let mut links = Vec::new();
        if self.within {
            // A function may be there by its type, and in no place where a program could be put.
            match attached(ebpf, &WITHIN) {
                Ok(attached) => links.extend(attached),
                Err(_) => self.within = false,
            }
        }
        let needed = [(OPEN, !self.within), (CUT, self.cuts), (READ, self.reads)];
        let needed = needed.into_iter().filter_map(|(program, needed)| needed.then_some(program));
        links.extend(attached(ebpf, &needed.chain(JUDGES).collect::<Vec<_>>())?);
        Ok(links)
    }
}

/// All of them or none.
fn attached(ebpf: &mut Ebpf, programs: &[Program]) -> io::Result<Vec<(&'static str, FdLink)>> {
    programs.iter().map(|program| Ok((program.name, program.attach(ebpf)?))).collect()
}

impl Program {
    fn load(self, ebpf: &mut Ebpf, btf: &Btf) -> Result<(), ProgramError> {
        match self.kind {
            Kind::Lsm => self.lsm(ebpf).map_err(ProgramError::IOError)?.load(self.at, btf),
            Kind::Exit => self.exit(ebpf).map_err(ProgramError::IOError)?.load(self.at, btf),
        }
    }

    /// Whether it is there to be loaded.
    fn load_if_there(self, ebpf: &mut Ebpf, btf: &Btf) -> io::Result<bool> {
        match self.load(ebpf, btf) {
            Ok(()) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(refused(self.at, error)),
        }
    }

    fn attach(self, ebpf: &mut Ebpf) -> io::Result<FdLink> {
        match self.kind {
            Kind::Lsm => {
                let program = self.lsm(ebpf)?;
                let id = program.attach().map_err(other)?;
                Ok(program.take_link(id).map_err(other)?.into())
            }
            Kind::Exit => {
                let program = self.exit(ebpf)?;
                let id = program.attach().map_err(other)?;
                Ok(program.take_link(id).map_err(other)?.into())
            }
        }
    }

    fn lsm(self, ebpf: &mut Ebpf) -> io::Result<&mut Lsm> {
        ebpf.program_mut(self.name).ok_or(io::ErrorKind::NotFound)?.try_into().map_err(other)
    }

    fn exit(self, ebpf: &mut Ebpf) -> io::Result<&mut FExit> {
        ebpf.program_mut(self.name).ok_or(io::ErrorKind::NotFound)?.try_into().map_err(other)
    }
}

/// Whether the kernel has no such hook for us.
fn is_missing(error: &ProgramError) -> bool {
    match error {
        ProgramError::Btf(_) => true,
        ProgramError::LoadError { io_error, .. } => io_error.raw_os_error() == Some(libc::EINVAL),
        _ => false,
    }
}

/// Why a program does not load, with what the verifier said.
fn refused(hook: &str, error: ProgramError) -> io::Error {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let said = verifier_log.to_string();
            let reason = if said.is_empty() { String::new() } else { format!(": {said}") };
            io::Error::new(
                io_error.kind(),
                format!("the kernel takes no program at {hook}: {io_error}{reason}"),
            )
        }
        error => other(error),
    }
}
