//! Which system calls are left to a process that parses hostile bytes.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

/// What computing on an open file and answering on a socket needs.
const ALLOWED: &[i64] = &[
    libc::SYS_pread64,
    libc::SYS_preadv2,
    libc::SYS_fstat,
    libc::SYS_recvmsg,
    libc::SYS_close,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What libraries try on their own, and do without: refused, and no reason to end the process.
const REFUSED: &[i64] = &[
    libc::SYS_openat,
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_lseek,
    libc::SYS_ioctl,
    libc::SYS_fcntl,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_readlinkat,
    libc::SYS_faccessat,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_prctl,
    libc::SYS_seccomp,
    libc::SYS_prlimit64,
    libc::SYS_sched_getaffinity,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
];

/// Leaves the calling thread, and those it may start, what computing on open files and answering on this `socket` needs:
/// nothing is sent on another one that is open, as where errors go may be; no file is opened, no memory becomes executable, nobody else is signalled. Anything else but what is refused
/// for being harmless ends the process by SIGSYS. For ever; it takes no privilege, and sets that none is gained any more.
///
/// # Errors
/// When the kernel has no seccomp, or this processor's calls are not known here.
pub fn allow_computing(socket: BorrowedFd<'_>) -> io::Result<()> {
    install(calls(socket)?, SeccompAction::KillProcess, SeccompAction::Allow)?;
    // Of two answers the stricter holds. Second, since it refuses what installing takes.
    let refused = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    install(refused, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32))
}

fn calls(socket: BorrowedFd<'_>) -> io::Result<BTreeMap<i64, Vec<SeccompRule>>> {
    let any = ALLOWED.iter().chain(REFUSED).map(|call| (*call, Vec::new()));
    let mut calls: BTreeMap<_, _> = any.collect();
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        let exec = libc::PROT_EXEC as u64;
        calls.insert(call, vec![rule(&[(2, SeccompCmpOp::MaskedEq(exec), 0)])?]);
    }
    let socket = socket.as_raw_fd().cast_unsigned();
    calls.insert(libc::SYS_sendmsg, vec![rule(&[(0, SeccompCmpOp::Eq, u64::from(socket))])?]);
    // To abort: itself, and with no other signal.
    let own = u64::from(std::process::id());
    let abort = rule(&[(0, SeccompCmpOp::Eq, own), (2, SeccompCmpOp::Eq, libc::SIGABRT as u64)])?;
    calls.insert(libc::SYS_tgkill, vec![abort]);
    Ok(calls)
}

/// Holds where each of these arguments (its number, how, with what) does.
fn rule(conditions: &[(u8, SeccompCmpOp, u64)]) -> io::Result<SeccompRule> {
    let condition = |(index, how, value): &(u8, SeccompCmpOp, u64)| {
        SeccompCondition::new(*index, SeccompCmpArgLen::Dword, how.clone(), *value)
    };
    let conditions: Result<_, _> = conditions.iter().map(condition).collect();
    SeccompRule::new(conditions.map_err(io::Error::other)?).map_err(io::Error::other)
}

fn install(
    calls: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    those: SeccompAction,
) -> io::Result<()> {
    let architecture = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    let filter = SeccompFilter::new(calls, otherwise, those, architecture).map_err(io::Error::other)?;
    let program = BpfProgram::try_from(filter).map_err(io::Error::other)?;
    apply_filter(&program).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::mm::{MapFlags, ProtFlags};
    use std::os::fd::AsFd;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus, Stdio};

    const CHILD: &str = "QUELL_FILTERED_CHILD";
    /// The exit of who came back from what it tried.
    const CAME_BACK: i32 = 7;

    /// No test of its own: what is filtered, and what it tries.
    #[test]
    fn filtered_child() {
        let Some(attempt) = std::env::var_os(CHILD) else { return };
        // Made before, so that nothing but what is tried is asked of the kernel.
        let mut program = Command::new("/bin/true");
        let (input, errors) = (std::io::stdin(), std::io::stderr());
        allow_computing(input.as_fd()).unwrap();
        match attempt.to_str().unwrap() {
            "compute" => {
                let memory: Vec<u64> = (0..1 << 20).collect();
                assert_eq!(memory.iter().sum::<u64>(), (1 << 19) * ((1 << 20) - 1));
            }
            "open" => {
                let refused = std::fs::File::open("/etc/passwd").unwrap_err();
                assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
                let refused = std::fs::File::create("/tmp/quell-filtered-child").unwrap_err();
                assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
            }
            // Neither is a socket here.
            "answer" => drop(crate::socket::send(input.as_fd(), b"x", &[], true).unwrap_err()),
            "tell others" => drop(crate::socket::send(errors.as_fd(), b"x", &[], true)),
            "socket" => drop(std::net::UdpSocket::bind("127.0.0.1:0")),
            "exec" => drop(std::os::unix::process::CommandExt::exec(&mut program)),
            "fork" => drop(program.spawn()),
            "thread" => drop(std::thread::Builder::new().spawn(|| ())),
            "signal" => drop(rustix::process::kill_process(
                rustix::process::getppid().unwrap(),
                rustix::process::Signal::TERM,
            )),
            "code" => {
                let (rights, private) = (ProtFlags::READ | ProtFlags::EXEC, MapFlags::PRIVATE);
                // SAFETY: new memory at a place of the kernel's choice, which nobody uses.
                let _ = unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), 4096, rights, private) };
            }
            "abort" => std::process::abort(),
            other => panic!("{other}"),
        }
        std::process::exit(CAME_BACK);
    }

    fn ends(attempt: &str) -> ExitStatus {
        let test = "seccomp::tests::filtered_child";
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args([test, "--exact", "--test-threads=1"]).env(CHILD, attempt);
        child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap()
    }

    #[test]
    fn what_computes_goes_on_and_what_else_it_tries_ends_it() {
        for attempt in ["compute", "open", "answer"] {
            assert_eq!(ends(attempt).code(), Some(CAME_BACK), "{attempt}");
        }
        for attempt in ["tell others", "socket", "exec", "fork", "thread", "signal", "code"] {
            assert_eq!(ends(attempt).signal(), Some(libc::SIGSYS), "{attempt}");
        }
        assert_eq!(ends("abort").signal(), Some(libc::SIGABRT), "as itself");
    }
}
