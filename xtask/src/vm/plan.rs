//! What `vm-test` runs, on which kernel: the one place to add to.

/// A test program, in the guest as root in a mount namespace of its own.
pub(super) struct Case {
    /// What it is called in the table.
    pub(super) name: &'static str,
    /// The package that it belongs to.
    pub(super) package: &'static str,
    /// The name of its target; that of the package for the tests inside a library.
    pub(super) target: &'static str,
    /// Arguments of the test program: the tests to choose, or `--skip` and what not.
    pub(super) arguments: &'static [&'static str],
    /// Beside `QUELL_PRIVATE_NAMESPACE`.
    pub(super) environment: &'static [(&'static str, &'static str)],
    /// Parts of the names of tests that prove nothing there, and why; they are counted as skipped.
    pub(super) left_out: &'static [(&'static str, &'static str)],
    /// It changes files with programs in C, which are made on the host.
    pub(super) needs_hand: bool,
    /// After which it is killed. Emulation is ten to thirty times slower than the host.
    pub(super) seconds: u32,
}

/// A boot of a kernel, and what is done in it.
pub(super) struct Boot {
    /// The series of Debian's kernel.
    pub(super) series: &'static str,
    /// Its time is its instructions, so that a busy host makes nothing late there; one processor, and slow.
    pub(super) counts: bool,
    pub(super) cases: &'static [Case],
}

const fn case(package: &'static str, target: &'static str, seconds: u32) -> Case {
    Case {
        name: target,
        package,
        target,
        arguments: &[],
        environment: &[],
        left_out: &[],
        needs_hand: false,
        seconds,
    }
}

/// The guard's level at which the kernel denies by itself.
const IN_KERNEL: &[(&str, &str)] = &[("QUELL_GUARD_LEVEL", "bpf")];

/// Some thousand steps there.
const WALK_IN_KERNEL: &[(&str, &str)] = &[("QUELL_GUARD_LEVEL", "bpf"), ("QUELL_WALK_SECONDS", "150")];

/// The guard's level at which the kernel asks.
const ASKED: &[(&str, &str)] = &[("QUELL_GUARD_LEVEL", "fanotify")];

/// A processor without instructions for SHA hashes such files for longer than anybody waits.
const FLOOD: (&str, &str) = ("fairness", "its flood is too large for an emulated processor");

/// All of it.
pub(super) const PLAN: &[Boot] = &[
    Boot {
        series: "6.12",
        counts: false,
        cases: &[
            Case { name: "smoke", ..case("tests", "machine", 60) },
            Case { name: "sys kernel", ..case("sys", "kernel", 120) },
            Case { name: "sys bpf", ..case("sys", "bpf", 300) },
            Case { environment: IN_KERNEL, ..case("agent", "guard_bpf", 400) },
            Case {
                name: "roads bpf",
                environment: IN_KERNEL,
                arguments: &["each_road"],
                needs_hand: true,
                ..case("agent", "roads", 400)
            },
            Case {
                name: "stale bpf",
                environment: IN_KERNEL,
                arguments: &["changes::on_ext4", "changes::where_times_move", "hashing::on_ext4"],
                needs_hand: true,
                ..case("agent", "stale", 600)
            },
            Case {
                name: "walk bpf",
                environment: WALK_IN_KERNEL,
                needs_hand: true,
                ..case("agent", "model_walk", 400)
            },
            case("agent", "acts", 120),
            case("agent", "vault", 300),
            case("agent", "vault_race", 120),
            // On the host each step is killed at more often.
            Case { environment: &[("QUELL_CRASH_ROUNDS", "1")], ..case("agent", "crash", 180) },
        ],
    },
    Boot {
        series: "6.12",
        counts: true,
        cases: &[
            Case {
                name: "guard",
                environment: ASKED,
                left_out: &[FLOOD],
                ..case("agent", "guard_kernel", 400)
            },
            Case { environment: ASKED, needs_hand: true, ..case("agent", "roads", 400) },
        ],
    },
    // A smoke test: this kernel has less of what we use.
    Boot {
        series: "6.1",
        counts: false,
        cases: &[
            Case { name: "smoke", ..case("tests", "machine", 60) },
            Case { name: "sys kernel", ..case("sys", "kernel", 120) },
            Case { name: "sys bpf", ..case("sys", "bpf", 300) },
        ],
    },
    Boot {
        series: "6.1",
        counts: true,
        cases: &[Case {
            name: "guard",
            arguments: &["denies", "failures"],
            environment: ASKED,
            ..case("agent", "guard_kernel", 300)
        }],
    },
];
