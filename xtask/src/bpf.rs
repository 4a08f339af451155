//! `cargo xtask bpf`: compiles the guard's LSM programs. The object is checked in beside its source, so that a plain
//! build needs no clang; `--check` compiles again and says whether the two still belong together.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use object::{Object, ObjectSection};

use crate::house::House;
use crate::packages::{Needed, missing, on_path, provide};
use crate::test::tally::Outcome;

const HOME: &str = "crates/sys/bpf";
const SOURCE: &str = "guard.bpf.c";
const OBJECT: &str = "guard.bpf.o";

/// Program or header, Debian package.
const NEEDED: &[Needed] =
    &[("clang", "clang"), ("llvm-strip", "llvm"), ("/usr/include/bpf/bpf_helpers.h", "libbpf-dev")];

/// Names and the order of symbols are the compiler's own affair.
const IMMATERIAL: [&str; 3] = [".strtab", ".symtab", ".llvm_addrsig"];

/// What to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Change nothing; say whether the object belongs to its source.
    #[arg(long)]
    check: bool,
}

/// Compiles or compares; whether all is well.
pub(crate) fn run(house: &House, args: &Args) -> Result<bool> {
    if !args.check {
        compile(house, OBJECT)?;
        println!("{HOME}/{OBJECT} is made anew");
        return Ok(true);
    }
    let differs = differences(house)?;
    for section in &differs {
        println!(
            "{HOME}/{OBJECT}: {section} is not what the source gives: type `cargo xtask bpf` and commit"
        );
    }
    Ok(differs.is_empty())
}

/// The comparison as a suite.
pub(crate) fn check(house: &House) -> Result<Outcome> {
    let held = run(house, &Args { check: true })?;
    Ok(Outcome::checks(usize::from(held), usize::from(!held)))
}

/// The sections in which the object differs from what its source gives now.
fn differences(house: &House) -> Result<Vec<String>> {
    let fresh = tempfile::tempdir()?;
    let path = fresh.path().join(OBJECT);
    compile(house, path.to_str().context("the temporary directory has a strange name")?)?;
    let kept = std::fs::read(house.root().join(HOME).join(OBJECT))?;
    Ok(differing(&sections(&kept)?, &sections(&std::fs::read(path)?)?))
}

fn differing(one: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    names.into_iter().filter(|name| one.get(*name) != other.get(*name)).cloned().collect()
}

/// Programs, maps, types and relocations by the names of their sections.
fn sections(object: &[u8]) -> Result<BTreeMap<String, Vec<u8>>> {
    let file = object::File::parse(object)?;
    let mut sections = BTreeMap::new();
    for section in file.sections() {
        let name = section.name()?.to_owned();
        if !name.is_empty() && !IMMATERIAL.contains(&name.as_str()) {
            sections.insert(name, section.data()?.to_vec());
        }
    }
    ensure!(sections.contains_key(".maps") && sections.contains_key(".BTF"), "this is no object of programs");
    Ok(sections)
}

/// Compiles the source to `object`, a path seen from it. Nothing of this machine's paths goes in.
fn compile(house: &House, object: &str) -> Result<()> {
    provide(house, NEEDED);
    let missing = missing(NEEDED, |program| on_path(program).is_some());
    ensure!(missing.is_empty(), "missing packages: {}", missing.join(" "));
    let home = house.root().join(HOME);
    let mut clang = house.command("clang");
    clang.current_dir(&home).args(["-O2", "-g", "-target", "bpfel", "-mcpu=v3", "-Wall", "-Werror"]);
    // The kernel's headers for this machine: only widths of numbers come from there, the same everywhere.
    clang.arg("-idirafter").arg(format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH));
    clang.arg(format!("-ffile-prefix-map={}=.", home.display())).arg("-fdebug-compilation-dir=.");
    called(clang.args(["-c", SOURCE, "-o", object]))?;
    // What remains of what debuggers read is BTF, which the kernel reads.
    called(house.command("llvm-strip").current_dir(&home).args([Path::new("-g"), Path::new(object)]))
}

fn called(command: &mut std::process::Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let ran = command.status().with_context(|| format!("cannot start {program}"))?;
    if !ran.success() {
        bail!("{program} ended with {ran}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_difference_is_named() {
        let of = |entries: &[(&str, &[u8])]| {
            entries.iter().map(|(name, data)| ((*name).to_owned(), data.to_vec())).collect::<BTreeMap<_, _>>()
        };
        let kept = of(&[(".maps", b"1"), ("lsm/file_open", b"2"), (".BTF", b"3")]);
        assert!(differing(&kept, &kept).is_empty());
        let fresh = of(&[(".maps", b"1"), ("lsm/file_open", b"x"), (".text", b"4")]);
        assert_eq!(differing(&kept, &fresh), [".BTF", ".text", "lsm/file_open"]);
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        assert!(sections(b"\x7fELF").is_err());
    }
}
