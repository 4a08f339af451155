//! Programs and libraries of the machine that runs the test, beside what `readelf` says of them.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use inspect::{Source, Trust};
use model::Time;
use model::inspection::{Elf, Linkage, Outcome, Relro};

/// A file that is not read as a whole.
struct OnDisk(File, u64);

impl Source for OnDisk {
    fn size(&self) -> u64 {
        self.1
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }
}

/// What `readelf` says: its segments, dynamic table and notes.
fn readelf(path: &Path) -> Option<String> {
    let output = Command::new("readelf").args(["-hldnSW"]).arg(path).env("LC_ALL", "C").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What stands between `[` and `]` in the lines of the dynamic table that have `tag`.
fn named<'t>(text: &'t str, tag: &'t str) -> impl Iterator<Item = &'t str> {
    let lines = text.lines().filter(move |line| line.contains(tag));
    lines.filter_map(|line| Some(line.split_once('[')?.1.rsplit_once(']')?.0))
}

fn compare(path: &Path, text: &str, elf: &Elf, subtype: Option<&str>) {
    let what = path.display();
    let has = |part: &str| text.contains(part);
    assert_eq!(elf.needed, named(text, "(NEEDED)").collect::<Vec<_>>(), "{what}");
    assert_eq!(elf.soname.as_deref(), named(text, "(SONAME)").next(), "{what}");
    let interpreter =
        text.split_once("[Requesting program interpreter: ").and_then(|(_, rest)| rest.split(']').next());
    assert_eq!(elf.interpreter.as_deref(), interpreter, "{what}");
    let id: String = elf.build_id.iter().map(|byte| format!("{byte:02x}")).collect();
    let said = text.split_once("Build ID: ").and_then(|(_, rest)| rest.split_whitespace().next());
    assert_eq!(id, said.unwrap_or_default(), "{what}");
    assert_eq!(elf.is_stripped, !has(" SYMTAB "), "{what}");
    let flags =
        |segment: &str| text.lines().find(|line| line.trim_start().starts_with(segment)).map(str::to_owned);
    let stack = flags("GNU_STACK").map(|line| line.contains("RWE"));
    assert_eq!(elf.has_nx, stack == Some(false), "{what}");
    let now = has("BIND_NOW") || text.lines().any(|line| line.contains("(FLAGS_1)") && line.contains("NOW"));
    let relro = match flags("GNU_RELRO") {
        None => Relro::None,
        Some(_) if now => Relro::Full,
        Some(_) => Relro::Partial,
    };
    assert_eq!(elf.relro, relro, "{what}");
    let is_program = has("Type:                              EXEC") || (has("Flags: ") && has(" PIE"));
    if is_program {
        assert_eq!(subtype, Some("Program"), "{what}");
    }
    assert_eq!(
        elf.linkage == Linkage::Dynamic,
        has("(NEEDED)") || has("(SONAME)") || interpreter.is_some(),
        "{what}"
    );
}

#[test]
fn programs_of_this_machine_are_as_readelf_says() {
    let own = std::env::current_exe().unwrap();
    let shell = Path::new("/bin/sh").canonicalize().unwrap();
    let mut paths = vec![own, shell];
    for program in
        ["/usr/bin/env", "/usr/bin/ls", "/bin/mount", "/usr/bin/gcc", "/usr/bin/perl", "/usr/bin/ld"]
    {
        paths.extend(Path::new(program).canonicalize());
    }
    // The C library, which is a library and can be run; and whatever else is mapped here.
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    paths.extend(
        maps.lines()
            .filter_map(|line| line.split_whitespace().nth(5))
            .filter(|path| path.contains(".so"))
            .map(Into::into),
    );
    paths.sort();
    paths.dedup();
    let mut compared = 0;
    for path in paths {
        let Some(text) = readelf(&path) else { return println!("not run: needs readelf") };
        let file = File::open(&path).unwrap();
        let size = file.metadata().unwrap().len();
        let found = inspect::inspect(&OnDisk(file, size), &Trust::default(), Time::from_seconds(0)).unwrap();
        let Some(elf) = found.elf else { continue };
        assert_eq!(found.outcome, Outcome::Whole, "{}", path.display());
        compare(&path, &text, &elf, found.facts.subtype.as_deref());
        compared += 1;
    }
    assert!(compared >= 3, "the test, the shell and the C library at least");
}

#[test]
fn this_test_is_rust() {
    let own = File::open(std::env::current_exe().unwrap()).unwrap();
    let size = own.metadata().unwrap().len();
    let found = inspect::inspect(&OnDisk(own, size), &Trust::default(), Time::from_seconds(0)).unwrap();
    let rust = found.elf.unwrap().rust.unwrap();
    let version = Command::new("rustc").arg("--version").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    // `rustc 1.95.0 (…)` there, `rustc version 1.95.0 (…)` here.
    let version = version.trim().replacen("rustc ", "rustc version ", 1);
    assert_eq!(rust.compiler, Some(version));
}
