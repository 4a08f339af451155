//! Other products on this machine that can refuse an exec, too.
//!
//! Two that answer the kernel can wait for each other only if one of them waits while it answers. Quell's guard
//! never does, and its timer bounds what its agent's own opens may cost when the other is asked about them. So
//! enforcement goes on beside a rival; but whoever looks at this machine must see that there is one.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sys::refusers::{Means, Refuser};

use crate::core::{Core, Nudge};
use crate::guard::client::Guard;

/// How often is looked at the most, and at the least.
const PERIOD: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(600));
/// So long our own guard is waited for before the first look, lest another Quell is taken for it.
const FIRST: Duration = Duration::from_secs(10);
/// A look costs about 30 us for each process; beside that, so many times as long is rested.
const REST: u32 = 5000;
/// So many are told of, and more on no machine that works.
const MOST: usize = 16;

/// Products by the name of their program, or by the directory it lies in.
const PRODUCTS: [(&str, &str); 24] = [
    ("/opt/CrowdStrike/", "CrowdStrike Falcon"),
    ("/opt/eset/", "ESET"),
    ("/opt/kaspersky/", "Kaspersky Endpoint Security"),
    ("/opt/sentinelone/", "SentinelOne"),
    ("/opt/sophos-spl/", "Sophos Protection"),
    ("/opt/traps/", "Cortex XDR"),
    ("ampdaemon", "Cisco Secure Endpoint"),
    ("bdsecd", "Bitdefender"),
    ("cbagentd", "Carbon Black"),
    ("clamonacc", "ClamAV"),
    ("drweb-spider", "Dr.Web"),
    ("ds_agent", "Trend Micro Deep Security"),
    ("ds_am", "Trend Micro Deep Security"),
    ("elastic-endpoint", "Elastic Defend"),
    ("falcon-sensor", "CrowdStrike Falcon"),
    ("falcon-sensor-bpf", "CrowdStrike Falcon"),
    ("fapolicyd", "fapolicyd"),
    ("kesl", "Kaspersky Endpoint Security"),
    ("mfetpd", "Trellix Endpoint Security"),
    ("oaeventd", "ESET"),
    ("quell", "another Quell"),
    ("savd", "Sophos Anti-Virus"),
    ("tetragon", "Tetragon"),
    ("wdavdaemon", "Microsoft Defender"),
];

/// Looks again and again, and tells when one comes or goes.
pub(crate) fn watch(core: &Arc<Core>) {
    sys::process::run_when_idle();
    let guard = || core.guard.as_ref().and_then(Guard::pid);
    let begun = Instant::now();
    while core.guard.is_some() && guard().is_none() && begun.elapsed() < FIRST {
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut known = BTreeMap::new();
    while !core.halt.is_asked() {
        let begun = Instant::now();
        let found = look(guard());
        for (_, name) in found.iter().filter(|(refuser, _)| !known.contains_key(*refuser)) {
            tracing::warn!(rival = %name, "another product on this machine can refuse execs, too");
        }
        for (_, name) in known.iter().filter(|(refuser, _)| !found.contains_key(*refuser)) {
            tracing::info!(rival = %name, "it is gone");
        }
        if found != known {
            *core.rivals.lock() = found.values().take(MOST).cloned().collect();
            core.nudge(Nudge::Changed);
            known = found;
        }
        std::thread::sleep((begun.elapsed() * REST).clamp(PERIOD.0, PERIOD.1));
    }
}

/// Those there are but for `guard`, our own, described. Before ours is known, whoever runs our program is taken
/// for it.
fn look(guard: Option<i32>) -> BTreeMap<Refuser, String> {
    let is_ours = |pid| guard.map_or_else(|| runs_our_program(pid), |guard| pid == guard || is_beside(pid));
    let rivals = sys::refusers::all().into_iter().filter(|refuser| !is_ours(refuser.pid));
    // One that has ended meanwhile has no program any more.
    let described = |rival: Refuser| {
        let program = sys::processes::executable_path(rival.pid).ok()?;
        Some((rival, describe(rival, &program)))
    };
    rivals.filter_map(described).collect()
}

/// `fapolicyd (process 712, /usr/sbin/fapolicyd, asked by fanotify)`.
fn describe(rival: Refuser, program: &Path) -> String {
    let means = match rival.means {
        Means::Fanotify => "asked by fanotify",
        Means::Lsm => "a BPF program at security hooks",
    };
    let name = product(program).unwrap_or("an unknown product");
    format!("{name} (process {}, {}, {means})", rival.pid, program.display())
}

fn product(program: &Path) -> Option<&'static str> {
    let name = program.file_name()?.to_str()?.trim_end_matches(" (deleted)");
    let is_it = |known: &str| if known.starts_with('/') { program.starts_with(known) } else { known == name };
    PRODUCTS.iter().find(|(known, _)| is_it(known)).map(|(_, product)| *product)
}

/// A guard that relieves ours, or was relieved by it: the same warden has started it.
fn is_beside(pid: i32) -> bool {
    let own = rustix::process::getppid().map(rustix::process::Pid::as_raw_pid);
    own.is_some_and(|own| own != 1 && sys::processes::parent(pid).ok() == Some(own))
}

fn runs_our_program(pid: i32) -> bool {
    let program = |pid: &str| {
        let found = std::fs::metadata(format!("/proc/{pid}/exe")).ok()?;
        Some((found.dev(), found.ino()))
    };
    program("self") == program(&pid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_known_by_name_and_by_place() {
        let known = |path: &str| product(Path::new(path));
        assert_eq!(known("/usr/sbin/fapolicyd"), Some("fapolicyd"));
        assert_eq!(known("/usr/sbin/fapolicyd (deleted)"), Some("fapolicyd"));
        assert_eq!(known("/opt/sophos-spl/plugins/av/sbin/soapd"), Some("Sophos Protection"));
        assert_eq!(known("/opt/microsoft/mdatp/sbin/wdavdaemon"), Some("Microsoft Defender"));
        assert_eq!(known("/usr/bin/not-fapolicyd"), None);
        assert_eq!(known("/srv/opt/eset/x"), None);
        assert_eq!(known(""), None);
    }

    #[test]
    fn a_rival_is_described_for_people() {
        let rival = Refuser { pid: 712, means: Means::Fanotify };
        let described = describe(rival, Path::new("/usr/sbin/fapolicyd"));
        assert_eq!(described, "fapolicyd (process 712, /usr/sbin/fapolicyd, asked by fanotify)");
        assert!(describe(rival, Path::new("/x")).starts_with("an unknown product (process 712, /x"));
    }

    #[test]
    fn whoever_runs_this_program_may_be_ours() {
        assert!(runs_our_program(std::process::id().cast_signed()));
        assert!(!runs_our_program(-1));
    }
}
