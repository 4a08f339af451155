//! Programs of the system that a task calls, and the Debian packages that bring them.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::house::House;
use crate::live;

/// Program, Debian package.
pub(crate) type Needed = (&'static str, &'static str);

/// Whether this process has the rights of root.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Installs what is missing where that is possible, else says what to type. A program that stays missing is
/// left for its user to report.
pub(crate) fn provide(house: &House, needed: &[Needed]) {
    let missing = missing(needed, |program| on_path(program).is_some());
    if missing.is_empty() {
        return;
    }
    println!("missing programs, by package: {}", missing.join(" "));
    let typed = format!("apt-get update && apt-get install -y --no-install-recommends {}", missing.join(" "));
    let mut apt = house.command("sh");
    apt.args(["-c", &typed]).env("DEBIAN_FRONTEND", "noninteractive");
    let installed = is_root() && live::run(&mut apt).is_ok_and(|ran| ran.status.success());
    if !installed {
        println!("please type, as root: {typed}");
    }
}

/// The packages of programs that are not there, each once.
pub(crate) fn missing(needed: &[Needed], is_there: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut packages: Vec<&str> =
        needed.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Where a program lies.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(Into::into);
    let mut places =
        std::env::split_paths(&path).chain(system).map(|directory: PathBuf| directory.join(program));
    places.find(|place| place.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDED: &[Needed] = &[("cc", "gcc"), ("getfattr", "attr"), ("setfattr", "attr")];

    #[test]
    fn a_package_is_named_once() {
        assert_eq!(missing(NEEDED, |program| !program.ends_with("attr")), ["attr"]);
        assert!(missing(NEEDED, |_| true).is_empty());
    }

    #[test]
    fn a_program_is_found_by_name() {
        assert!(on_path("sh").is_some_and(|place| place.ends_with("sh")));
        assert!(on_path("no such program").is_none());
    }
}
