//! The suites, in the order in which they run: cheap ones first.

use anyhow::Result;
use clap::ValueEnum;

use super::namespace::{Host, Inside};
use super::tally::Outcome;
use super::{agent_only, cargo, deny};
use crate::bpf;
use crate::house::House;
use crate::tidy;
use crate::vm;

/// A suite.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Suite {
    /// Formatting.
    Fmt,
    /// House rules.
    Tidy,
    /// Licences, bans and sources of what we depend on.
    Deny,
    /// The compiled LSM programs are what their source says.
    Bpf,
    /// Lints of all targets.
    Clippy,
    /// Tests that need no privileges, and examples in the documentation.
    Unit,
    /// The agent without the server: it builds, and carries no web server.
    AgentOnly,
    /// Tests of `sys` and `agent`, with the right to watch and to mount: what the kernel lets through and what
    /// it does not, real processes, and kill points with what is left after them.
    Privileged,
    /// Server and agent on one host.
    E2e,
    /// Other products that answer the kernel, on the same filesystem.
    Rivals,
    /// Whatever stands still, dies or is full: nobody waits for long.
    NeverHang,
    /// Whatever is denied and taken away, a machine can be repaired: a slice of it.
    Brick,
    /// The wire contract.
    Compat,
    /// Tests of `sys` and `agent` on kernels of Debian's, in an emulated machine.
    Vm,
}

impl Suite {
    /// All of them, in order.
    pub(super) const ALL: &'static [Self] = &[
        Self::Fmt,
        Self::Tidy,
        Self::Deny,
        Self::Bpf,
        Self::Clippy,
        Self::Unit,
        Self::AgentOnly,
        Self::Privileged,
        Self::E2e,
        Self::Rivals,
        Self::NeverHang,
        Self::Brick,
        Self::Compat,
        Self::Vm,
    ];

    /// Its name, as `--only` takes it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Tidy => "tidy",
            Self::Deny => "deny",
            Self::Bpf => "bpf",
            Self::Clippy => "clippy",
            Self::Unit => "unit",
            Self::AgentOnly => "agent-only",
            Self::Privileged => "privileged",
            Self::E2e => "e2e",
            Self::Rivals => "rivals",
            Self::NeverHang => "never-hang",
            Self::Brick => "brick",
            Self::Compat => "compat",
            Self::Vm => "vm",
        }
    }

    /// How it runs inside a private mount namespace, for those that do.
    fn inside(self) -> Option<Inside> {
        let name = self.name();
        match self {
            Self::Privileged => Some(Inside::packages(&["sys", "agent"], 1200)),
            Self::E2e => Some(Inside::suite(name, 600)),
            Self::NeverHang | Self::Brick => Some(Inside::suite(name, 600)),
            Self::Rivals | Self::Compat => Some(Inside::suite(name, 300)),
            _ => None,
        }
    }

    /// Whether it needs root and system packages.
    pub(super) fn needs_namespace(self) -> bool {
        self.inside().is_some()
    }

    /// Runs it.
    pub(super) fn run(self, house: &House, host: &Host) -> Result<Outcome> {
        if let Some(inside) = self.inside() {
            return inside.run(house, host);
        }
        match self {
            Self::Fmt => cargo::step(house, &["fmt", "--all", "--check"], "type `cargo fmt --all`"),
            Self::Tidy => tidy::run(house).map(|report| Outcome::checks(report.passed(), report.failed())),
            Self::Deny => deny::run(house),
            Self::Bpf => bpf::check(house),
            Self::Clippy => cargo::step(
                house,
                &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
                "mend it, or write #[expect(lint, reason = \"…\")]",
            ),
            Self::AgentOnly => agent_only::run(house),
            Self::Vm => vm::suite::run(house, &vm::suite::Args::default()),
            _ => cargo::unit(house, host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line_and_all_run() {
        let offered: Vec<String> = Suite::value_variants()
            .iter()
            .filter_map(|suite| suite.to_possible_value().map(|value| value.get_name().to_owned()))
            .collect();
        let run: Vec<&str> = Suite::ALL.iter().map(|suite| suite.name()).collect();
        assert_eq!(offered, run);
    }
}
