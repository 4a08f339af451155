//! Giving up what a process does not need that only reads files and answers on a pipe it has.

use std::io;

use rustix::process::{Gid, Resource, Rlimit, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};

/// Nobody's user and group, on every distribution.
const NOBODY: u32 = 65534;

/// What a confined process may use up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Address space, in bytes.
    pub memory: u64,
    /// Seconds of a processor; the kernel ends it then.
    pub seconds: u64,
}

/// Bytes that a process may have of its own, beside what is mapped to be read: its heap and its stacks.
#[derive(Clone, Copy, Debug)]
pub struct Heap(pub u64);

/// Leaves this process, which must have one thread yet, the right to read files and nothing else: not to write any,
/// to gain privileges by exec, to signal others' processes, or to take more than its share. Its exec of another
/// program is not prevented, and it is left no right worth having there.
///
/// To run as nobody needs `CAP_SETUID`; without it the process keeps its user and loses its capabilities all the same.
///
/// # Errors
/// Those of the kernel for what it must not be without: the limits, and no new privileges.
pub fn to_reading(limits: Limits) -> io::Result<()> {
    // It gives way where there is work; it is not put to sleep where there is a lot, since it is waited for.
    let _ = rustix::process::setpriority_process(None, 19);
    limit(limits, 64)?;
    give_up(CapabilitySet::DAC_READ_SEARCH)
}

/// Leaves this process, which must have one thread yet, the right to compute on what it was handed open: no capability,
/// no further process, hardly a descriptor. [`crate::seccomp`] is to follow.
///
/// # Errors
/// As [`to_reading`].
pub fn to_computing(limits: Limits, heap: Heap) -> io::Result<()> {
    limit(limits, 16)?;
    rustix::process::setrlimit(Resource::Data, fixed(heap.0))?;
    give_up(CapabilitySet::empty())?;
    // Afterwards: it counts the processes of whoever one is.
    Ok(rustix::process::setrlimit(Resource::Nproc, fixed(0))?)
}

fn fixed(amount: u64) -> Rlimit {
    Rlimit { current: Some(amount), maximum: Some(amount) }
}

fn limit(limits: Limits, files: u64) -> io::Result<()> {
    rustix::process::setrlimit(Resource::As, fixed(limits.memory))?;
    rustix::process::setrlimit(Resource::Cpu, fixed(limits.seconds))?;
    rustix::process::setrlimit(Resource::Fsize, fixed(0))?;
    rustix::process::setrlimit(Resource::Core, fixed(0))?;
    Ok(rustix::process::setrlimit(Resource::Nofile, fixed(files))?)
}

/// Every capability but these, where root can switch also its user, and new privileges for ever.
fn give_up(kept: CapabilitySet) -> io::Result<()> {
    become_nobody();
    if let Ok(now) = rustix::thread::capabilities(None) {
        let sets = CapabilitySets {
            effective: now.permitted & kept,
            permitted: now.permitted & kept,
            inheritable: CapabilitySet::empty(),
        };
        rustix::thread::set_capabilities(None, sets)?;
    }
    Ok(rustix::thread::set_no_new_privs(true)?)
}

fn become_nobody() {
    if !rustix::process::geteuid().is_root() || rustix::thread::set_keep_capabilities(true).is_err() {
        return;
    }
    let (group, user) = (Gid::from_raw(NOBODY), Uid::from_raw(NOBODY));
    // Groups first: afterwards it may not.
    let _ = rustix::thread::set_thread_groups(&[])
        .and_then(|()| rustix::thread::set_thread_res_gid(group, group, group))
        .and_then(|()| rustix::thread::set_thread_res_uid(user, user, user));
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHILD: &str = "QUELL_CONFINED_CHILD";

    /// No test of its own: what is confined.
    #[test]
    fn confined_child() {
        let Some(place) = std::env::var_os(CHILD) else { return };
        let place = std::path::Path::new(&place);
        let secret = place.join("secret");
        // Limits are the process's; what is given up is this thread's, and those that it starts.
        to_reading(Limits { memory: 1 << 30, seconds: 60 }).unwrap();
        assert_eq!(std::fs::read(&secret).unwrap(), b"secret");
        let written = std::fs::File::create(place.join("new")).and_then(|mut new| {
            use std::io::Write;
            new.write_all(b"x")
        });
        // Ignored, the signal that comes with a file that may not grow would say nothing.
        written.unwrap_err();
        assert!(std::fs::remove_file(&secret).is_err() || !rustix::process::geteuid().is_root());
        assert!(Vec::<u8>::new().try_reserve_exact(2 << 30).is_err());
        let sets = rustix::thread::capabilities(None).unwrap();
        assert!((sets.permitted - CapabilitySet::DAC_READ_SEARCH).is_empty());
        println!("confined: all held");
    }

    #[test]
    fn who_may_only_read_reads_and_does_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let secret = place.path().join("secret");
        std::fs::write(&secret, "secret").unwrap();
        std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let test = "confine::tests::confined_child";
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, place.path());
        let output = child.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("confined: all held"), "{said}");
        if rustix::process::geteuid().is_root() {
            assert!(secret.exists());
        }
    }
}
