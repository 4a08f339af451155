//! The test programs that the plan names, as cargo builds them, without what only a debugger reads.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::plan::Case;
use crate::house::House;

/// Whose test it is to build the programs that change files, and where it leaves them.
const HAND: (&str, &str) = ("agent", "roads");
const HAND_TEST: &str = "payloads_say_which_they_are";
pub(super) const HAND_VARIABLE: &str = "QUELL_TEST_PROGRAMS";

/// A test program on the host.
pub(super) struct Built {
    package: String,
    target: String,
    path: PathBuf,
}

/// Builds the test programs of some cases.
pub(super) fn build(house: &House, cases: &[&Case]) -> Result<Vec<Built>> {
    let mut arguments = vec!["test", "--no-run", "--message-format=json-render-diagnostics"];
    for case in cases {
        arguments.extend(["-p", case.package]);
        if case.target == case.package {
            arguments.push("--lib");
        } else {
            arguments.extend(["--test", case.target]);
        }
    }
    if cases.iter().any(|case| case.needs_hand) {
        arguments.extend(["-p", HAND.0, "--test", HAND.1]);
    }
    let output = house.cargo(&arguments).stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the tests do not build");
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    Ok(messages.lines().filter_map(|line| read(&serde_json::from_str(line).ok()?)).collect())
}

/// Which of them belongs to a case, in a form that is fit for the guest.
pub(super) fn program(house: &House, built: &[Built], case: &Case) -> Result<PathBuf> {
    stripped(house, find(built, case.package, case.target)?)
}

/// The directory with the programs that change files, made anew.
pub(super) fn hand(house: &House, built: &[Built]) -> Result<PathBuf> {
    let directory = house.target().join("vm").join("hand");
    if directory.exists() {
        std::fs::remove_dir_all(&directory)?;
    }
    std::fs::create_dir_all(&directory)?;
    let mut make = house.command(find(built, HAND.0, HAND.1)?);
    let made = make.arg(HAND_TEST).env(HAND_VARIABLE, &directory).output().context("cannot start it")?;
    if !made.status.success() || std::fs::read_dir(&directory)?.next().is_none() {
        bail!("no programs that change files: {}", String::from_utf8_lossy(&made.stdout).trim());
    }
    Ok(directory)
}

fn find<'a>(built: &'a [Built], package: &str, target: &str) -> Result<&'a Path> {
    let ours = |built: &&Built| built.package == package && built.target == target;
    let found = built.iter().find(ours);
    Ok(&found.with_context(|| format!("cargo built no {target} of {package}"))?.path)
}

/// A copy without debug information, which would fill the guest's memory.
pub(super) fn stripped(house: &House, program: &Path) -> Result<PathBuf> {
    let directory = house.target().join("vm").join("programs");
    std::fs::create_dir_all(&directory)?;
    let copy = directory.join(program.file_name().context("a program without a name")?);
    let mut strip = house.command("strip");
    let status = strip.arg("--strip-debug").arg("-o").arg(&copy).arg(program).status();
    if !status.context("cannot start strip")?.success() {
        bail!("cannot strip {}", program.display());
    }
    Ok(copy)
}

fn read(message: &Value) -> Option<Built> {
    let path = message["executable"].as_str()?;
    let is_test = message["profile"]["test"].as_bool()?;
    let manifest = Path::new(message["manifest_path"].as_str()?);
    let package = manifest.parent()?.file_name()?.to_str()?;
    let target = message["target"]["name"].as_str()?;
    is_test.then(|| Built { package: package.to_owned(), target: target.to_owned(), path: path.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_programs_are_known_from_cargo() {
        let message = |profile: bool, executable: Value| {
            serde_json::json!({
                "reason": "compiler-artifact", "manifest_path": "/x/crates/agent/Cargo.toml",
                "target": {"name": "guard_kernel"}, "profile": {"test": profile}, "executable": executable,
            })
        };
        let built = read(&message(true, "/x/guard_kernel-1".into())).unwrap();
        assert_eq!((built.package.as_str(), built.target.as_str()), ("agent", "guard_kernel"));
        assert!(read(&message(false, "/x/quell".into())).is_none());
        assert!(read(&message(true, Value::Null)).is_none());
        assert!(read(&serde_json::json!({"reason": "build-finished"})).is_none());
    }
}
