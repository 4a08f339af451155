//! The agent's package: `quell` with the feature `agent` alone. A privileged process carries no web server.

use anyhow::{Context, Result};

use super::tally::Outcome;
use crate::house::House;
use crate::live;

/// Packages that only the server needs.
const SERVERS: &[&str] = &["server", "axum", "hyper", "tokio", "jsonwebtoken"];
const AGENT: [&str; 5] = ["-p", "quell", "--no-default-features", "--features", "agent"];

/// It builds, and its dependency list holds none of them.
pub(super) fn run(house: &House) -> Result<Outcome> {
    let tree = [&["tree"], AGENT.as_slice(), &["-e", "normal", "--prefix", "none", "-f", "{p}"]].concat();
    let listed = house.cargo(&tree).output().context("cannot start cargo tree")?;
    if !listed.status.success() {
        let why = String::from_utf8_lossy(&listed.stderr).trim().replace('\n', " ");
        return Ok(Outcome::failed(format!("cargo tree failed: {why}")));
    }
    let listed = String::from_utf8_lossy(&listed.stdout);
    let found = servers_in(&listed);
    for name in &found {
        println!("the agent-only build depends on {name}; who brings it in:");
        println!("    cargo tree {} -e normal -i {name}", AGENT.join(" "));
    }
    let builds = live::run(&mut house.cargo(&[&["check"], AGENT.as_slice()].concat()))?.status.success();
    let failed = found.len() + usize::from(!builds);
    let mut outcome = Outcome::checks(SERVERS.len() + 1 - failed, failed);
    if !found.is_empty() {
        outcome.remark = Some(format!("the agent carries {}", found.join(", ")));
    } else if !builds {
        outcome.remark = Some("it does not build".to_owned());
    }
    Ok(outcome)
}

/// Which of the forbidden packages stand in the output of `cargo tree`.
fn servers_in(tree: &str) -> Vec<&'static str> {
    let named = |name: &str| tree.lines().any(|line| line.split(' ').next() == Some(name));
    SERVERS.iter().copied().filter(|name| named(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_web_server_is_found_by_its_whole_name() {
        assert!(servers_in("quell v0.1.0 (/x)\nhyperfine v1.0.0\ntokio-macros v2.0.0\n").is_empty());
        assert_eq!(servers_in("quell v0.1.0\nserver v0.1.0 (/x)\ntokio v1.0.0 (*)\n"), ["server", "tokio"]);
    }
}
