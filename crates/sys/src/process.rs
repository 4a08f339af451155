//! What a process of ours asks of the kernel for itself.

use std::fs;
use std::io;

use rustix::mm::MlockAllFlags;
use rustix::process::{Resource, Rlimit, Signal};
use rustix::thread::CapabilitySet;

/// Lets the kernel kill this process when its parent ends. Lost at the next exec of a privileged program.
///
/// The parent is, to the kernel, the *thread* that started this process: it must live as long as the parent
/// is meant to.
///
/// # Errors
/// ESRCH when `expected_parent` is no longer the parent: it ended before this call, and no signal will come.
pub fn die_with_parent(expected_parent: i32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let parent = rustix::process::getppid().map(rustix::process::Pid::as_raw_pid);
    if parent == Some(expected_parent) { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
}

/// Runs the calling thread, and those it starts, only when nobody else wants processor or disk. Best effort.
///
/// Such a thread must hold no lock that a thread in a hurry waits for: on a busy machine it may not run.
pub fn run_when_idle() {
    const SCHED_IDLE: i32 = 5;

    step_back();
    // SAFETY: all bytes zero is a valid sched_param, and its fields differ between C libraries.
    let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: `parameters` is only read, during the call; pid = 0 is the calling thread.
    unsafe { libc::sched_setscheduler(0, SCHED_IDLE, &raw const parameters) };
}

/// Lets the calling thread, and those it starts, run behind others (nice 19, and the disk when nobody else wants it).
/// Unlike one that runs when idle it always gets on, if slowly. Best effort.
pub fn step_back() {
    const IOPRIO_WHO_PROCESS: i32 = 1;
    const IOPRIO_CLASS_IDLE: i32 = 3 << 13;

    let _ = rustix::process::setpriority_process(None, 19);
    // SAFETY: ioprio_set takes three integers; who = 0 is the calling thread.
    unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_CLASS_IDLE) };
}

/// Takes [`run_when_idle`] and [`step_back`] back, for the calling thread and those it starts. Best effort.
pub fn run_ordinarily() {
    const IOPRIO_WHO_PROCESS: i32 = 1;
    /// The disk's share then follows from the processor's.
    const IOPRIO_CLASS_NONE: i32 = 0;

    // SAFETY: all bytes zero is a valid sched_param, and its fields differ between C libraries.
    let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: `parameters` is only read, during the call; pid = 0 is the calling thread.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const parameters) };
    let _ = rustix::process::setpriority_process(None, 0);
    // SAFETY: ioprio_set takes three integers; who = 0 is the calling thread.
    unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_CLASS_NONE) };
}

/// Lets the calling thread, and those it starts, run before ordinary ones (nice -10). Best effort.
pub fn prefer_speed() {
    let _ = rustix::process::setpriority_process(None, -10);
}

/// How long the calling thread has used a processor.
pub fn thread_time() -> std::time::Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    std::time::Duration::try_from(spent).unwrap_or_default()
}

/// How long this process has used a processor.
pub fn process_time() -> std::time::Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    std::time::Duration::try_from(spent).unwrap_or_default()
}

/// Keeps every page that this process touches from now on in memory, so that it never waits for a disk to
/// get its own code back. Pages not yet touched are locked when they are.
///
/// # Errors
/// ENOMEM or EPERM when the limit of locked memory is too low and cannot be raised.
pub fn lock_memory() -> io::Result<()> {
    let unlimited = Rlimit { current: None, maximum: None };
    // Without the privilege the limit that is there may still be enough.
    let _ = rustix::process::setrlimit(Resource::Memlock, unlimited);
    Ok(rustix::mm::mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)?)
}

/// Lets the allocator keep little of what is freed, and keep it in one place: for a process that works hard rarely,
/// with many threads. To be called before the second thread is started. Best effort.
pub fn hoard_little_memory() {
    #[cfg(target_env = "gnu")]
    {
        const AT_ONCE: libc::c_int = 256 << 10;
        let wishes =
            [(libc::M_ARENA_MAX, 2), (libc::M_TRIM_THRESHOLD, AT_ONCE), (libc::M_MMAP_THRESHOLD, AT_ONCE)];
        for (parameter, value) in wishes {
            // SAFETY: it takes two numbers, and these are parameters that it knows.
            unsafe {
                libc::mallopt(parameter, value);
            }
        }
    }
}

/// Gives memory that was freed back to the kernel, as far as the allocator can: it keeps what a large piece of work
/// has left behind. Best effort.
pub fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes a number and touches only what is free; it may be called at any time, by any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Allows as many open descriptors as the hard limit does, and returns how many (`None`: no limit).
///
/// # Errors
/// Those of `setrlimit`; none are known.
pub fn raise_descriptor_limit() -> io::Result<Option<u64>> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    Ok(limit.maximum)
}

/// Asks the kernel to end any other process first when memory runs out. Children inherit it. Best effort.
pub fn exempt_from_oom_killer() {
    let _ = fs::write("/proc/self/oom_score_adj", "-1000");
}

/// Lets the kernel end this process as any other when memory runs out, whatever its parent is spared. Best effort.
pub fn offer_to_oom_killer() {
    let _ = fs::write("/proc/self/oom_score_adj", "0");
}

/// Whether this process may hold a permission group, lease files of others and open files by handle.
///
/// # Errors
/// What is lacking, for people.
pub fn may_guard() -> Result<(), &'static str> {
    let Ok(sets) = rustix::thread::capabilities(None) else {
        return Err("the kernel does not say which capabilities this process has");
    };
    let needed = [
        (CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN is not effective: run as root, with all capabilities"),
        (
            CapabilitySet::DAC_READ_SEARCH,
            "CAP_DAC_READ_SEARCH is not effective: files cannot be opened by handle",
        ),
        (CapabilitySet::LEASE, "CAP_LEASE is not effective: files of other users cannot be leased"),
    ];
    if let Some((_, reason)) = needed.iter().find(|(capability, _)| !sets.effective.contains(*capability)) {
        return Err(reason);
    }
    // In a user namespace of its own, all capabilities are effective and none of them counts here.
    match fs::read_to_string("/proc/self/uid_map") {
        Ok(map) if is_whole_range(&map) => Ok(()),
        Ok(_) => Err("this is not the initial user namespace: the kernel will not let it guard"),
        Err(_) => Err("/proc is not readable"),
    }
}

/// The random id of this boot, a UUID.
///
/// # Errors
/// Those of reading `/proc`.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim_end().to_owned())
}

fn is_whole_range(uid_map: &str) -> bool {
    uid_map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_that_is_not_ours_is_noticed() {
        assert_eq!(die_with_parent(-7).unwrap_err().raw_os_error(), Some(libc::ESRCH));
        rustix::process::set_parent_process_death_signal(None).unwrap();
    }

    #[test]
    fn only_the_initial_user_namespace_maps_everyone() {
        assert!(is_whole_range("         0          0 4294967295\n"));
        assert!(!is_whole_range("         0       1000          1\n"));
        assert!(!is_whole_range("0 0 1000\n1000 100000 65536\n"));
    }

    #[test]
    fn a_thread_can_step_back() {
        std::thread::spawn(|| {
            run_when_idle();
            assert_eq!(rustix::process::getpriority_process(None).unwrap(), 19);
            let policy = || {
                // SAFETY: it takes a number and touches no memory; 0 is the calling thread.
                unsafe { libc::sched_getscheduler(0) }
            };
            assert_eq!(policy(), libc::SCHED_IDLE);
            if rustix::process::geteuid().is_root() {
                run_ordinarily();
                assert_eq!(policy(), libc::SCHED_OTHER);
                assert_eq!(rustix::process::getpriority_process(None).unwrap(), 0);
            }
        })
        .join()
        .unwrap();
        assert_ne!(rustix::process::getpriority_process(None).unwrap(), 19);
    }

    #[test]
    fn the_boot_has_an_id() {
        assert_eq!(boot_id().unwrap().len(), 36);
    }

    #[test]
    fn descriptors_are_raised_to_the_hard_limit() {
        let limit = raise_descriptor_limit().unwrap();
        assert_eq!(rustix::process::getrlimit(Resource::Nofile).current, limit);
    }
}
