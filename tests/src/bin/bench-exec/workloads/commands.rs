//! (b) Short commands, all of them dynamically linked, from a shell.

use tests::userland::{COMMANDS, Userland};

use super::{Sizes, Workload};
use crate::table::MILLISECONDS;

const SCRIPT: &str = "/bench/commands.sh";

pub(super) fn furnish(userland: &Userland) -> anyhow::Result<()> {
    let arguments = |command| match command {
        "cat" => SCRIPT,
        "ls" | "basename" => "/bench",
        _ => "",
    };
    let round: String =
        COMMANDS.iter().map(|command| format!("  /bin/{command} {}\n", arguments(*command))).collect();
    let script = format!("i=0\nwhile [ $i -lt $1 ]; do\n{round}  i=$((i + 1))\ndone\n");
    userland.put(SCRIPT, script.as_bytes())
}

pub(super) fn workload(sizes: &Sizes) -> Workload {
    Workload {
        title: "(b) six short commands from a shell",
        unit: MILLISECONDS,
        arguments: Box::new(|rounds| {
            ["run", "/bin/sh", SCRIPT, &rounds.to_string()].map(str::to_owned).into()
        }),
        size: sizes.commands,
        divides: true,
        execs: COMMANDS.len() as f64,
        most: 1.08,
    }
}
