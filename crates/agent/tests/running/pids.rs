//! A test's own pid namespace: nobody outside can be found there, or stopped.

use std::process::{Command, Stdio};
use std::time::Duration;

/// Says to the second run of a test that it is inside.
const INSIDE: &str = "QUELL_OWN_PIDS";

/// Whether this is that second run.
pub(crate) fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs the test that calls this once more in a pid namespace of its own, where it runs `test`, a closure of it.
pub(crate) fn inside<F: FnOnce()>(test: F) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let path = std::any::type_name::<F>();
    let name = path.strip_suffix("::{{closure}}").and_then(|path| path.split_once("::"));
    command.args(["--exact", name.expect("a closure of a test").1, "--nocapture", "--test-threads", "1"]);
    inside_with(command, test);
}

/// As [`inside`]; the first process of the namespace is that of `command`, which runs the test in the end.
pub(crate) fn inside_with(command: Command, test: impl FnOnce()) {
    if std::env::var_os("QUELL_PRIVATE_NAMESPACE").is_none_or(|value| value != "1") {
        println!("not run: it needs a mount namespace of its own");
        return;
    }
    if is_inside() {
        // Nobody but this test and what it starts.
        assert!(sys::processes::all().count() < 5, "this is no pid namespace of its own");
        if std::process::id() == 1 {
            std::thread::spawn(reap);
        }
        return test();
    }
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(command.get_program());
    unshare.args(command.get_args()).env(INSIDE, "1").stdin(Stdio::null());
    let output = unshare.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("1 passed"), "{told}");
}

/// Whose parent has ended is a child of the first process. What this takes from those who started one of them, they
/// do without: a process that was waited for has ended.
fn reap() {
    loop {
        // Not those that the test itself has just started and may be asking about.
        std::thread::sleep(Duration::from_millis(1));
        for pid in sys::processes::all() {
            let is_orphan = std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|line| line.contains(") Z 1 ") && line.contains("(orphan)"));
            if let Some(pid) = rustix::process::Pid::from_raw(pid).filter(|_| is_orphan) {
                let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::NOHANG);
            }
        }
    }
}
