//! (a) The exec of a tiny static program that was executed before.

use tests::userland::Userland;

use super::{Sizes, Workload};
use crate::table::MICROSECONDS;

/// Nothing but an exit, and what a C compiler makes of an empty main.
const PROGRAMS: [(&str, &str, &[&str]); 2] = [
    (
        "/bench/tiny",
        "void _start(void) { __asm__ volatile(\"mov $60, %eax; xor %edi, %edi; syscall\"); }",
        &["-nostdlib"],
    ),
    ("/bench/static", "int main(void) { return 0; }", &[]),
];

pub(super) fn furnish(userland: &Userland) -> anyhow::Result<()> {
    PROGRAMS.iter().try_for_each(|(path, source, flags)| userland.compile(source, flags, path))
}

pub(super) fn workloads(sizes: &Sizes) -> [Workload; 2] {
    let size = sizes.execs;
    let workload = |title, path: &'static str| Workload {
        title,
        unit: MICROSECONDS,
        arguments: Box::new(move |execs| vec!["exec".into(), path.into(), execs.to_string()]),
        size,
        divides: false,
        execs: 1.0,
        most: 1.22,
    };
    [
        workload("(a) warm exec of a program without libc", PROGRAMS[0].0),
        workload("(a) warm exec of a static program", PROGRAMS[1].0),
    ]
}
