//! `quell agent uninstall`: leaves nothing of the agent behind, once it is settled what becomes of quarantined copies.

use std::path::Path;

use agent::local::{self, Reply, Request};
use agent::uninstall::{self, Removal, Running};
use agent::vault::{Kept, Which};

use super::vault::{kept, restore, rests, unexpected};
use crate::data_dir::DataDir;
use crate::escape::printable;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::say;
use crate::terms::Terms;

/// What the verb is told.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    data_dir: DataDir,
    #[command(flatten)]
    vault: Vault,
    #[command(flatten)]
    terms: Terms,
    /// With --discard-vault: it is meant, the bytes are gone then
    #[arg(long, requires = "discard_vault")]
    yes: bool,
}

/// What becomes of quarantined copies.
#[derive(clap::Args)]
#[group(multiple = false)]
struct Vault {
    /// Bring every quarantined copy back first; they may run then
    #[arg(long)]
    restore_all: bool,
    /// Leave quarantined copies where they are, and what knows their way home
    #[arg(long)]
    keep_vault: bool,
    /// Remove every quarantined copy for good
    #[arg(long)]
    discard_vault: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if !rustix::process::geteuid().is_root() {
        return Err(
            Failure::new(Exit::NotPermitted, "this needs root").hint("type `sudo quell agent uninstall`")
        );
    }
    let named = args.data_dir.path();
    let data_dir = named.canonicalize().unwrap_or(named);
    if let Some(running) = uninstall::running(&data_dir) {
        return Err(in_use(&running));
    }
    if data_dir.join("vault.journal").exists() {
        empty(&data_dir, args)?;
    }
    let removal = uninstall::remove(&data_dir, args.vault.keep_vault);
    tell(&removal);
    if removal.removed.is_empty() && removal.left.is_empty() {
        return Err(Failure::new(Exit::NotFound, format!("{} holds no agent", data_dir.display()))
            .hint("name its data directory with --data-dir"));
    }
    Ok(())
}

fn in_use(running: &Running) -> Failure {
    let Running { pid, unit } = running;
    let failure = Failure::new(
        Exit::Conflict,
        match unit {
            Some(unit) => format!("the agent runs: process {pid} of {unit}"),
            None => format!("the agent runs: process {pid}"),
        },
    );
    failure.hint(match unit {
        Some(unit) => format!("stop it first: systemctl disable --now {unit}"),
        None => "stop it first: end the `quell up` or `quell agent run` that it belongs to".to_owned(),
    })
}

/// Makes sure that nothing of value rests in the vault, or that it is to stay there.
fn empty(data_dir: &Path, args: &Args) -> Result<(), Failure> {
    let resting = resting(data_dir)?;
    if resting.is_empty() || args.vault.keep_vault {
        return Ok(());
    }
    if args.vault.restore_all {
        let back = restore(data_dir, Request::VaultRestore(Which::All, args.terms.into()), Format::Table);
        back.map_err(|failure| {
            failure.hint("nothing was uninstalled; restore or remove those, and try again")
        })?;
    } else if args.vault.discard_vault {
        if !args.yes {
            list(&resting);
            return Err(Failure::usage(format!("{} copies would be gone for good", resting.len()))
                .hint("repeat it with --yes if that is meant"));
        }
        for copy in &resting {
            let why = "the agent was uninstalled with --discard-vault".to_owned();
            match local::ask(data_dir, Request::VaultRemove(copy.resting.id, why))? {
                Reply::Removed => {}
                other => return Err(unexpected(other)),
            }
        }
    } else {
        list(&resting);
        let what = "bring them back with --restore-all, leave them with --keep-vault, or remove them for good with \
                    --discard-vault --yes";
        return Err(
            Failure::new(Exit::Refused, format!("the vault holds {} copies", resting.len())).hint(what)
        );
    }
    match self::resting(data_dir)?.len() {
        0 => Ok(()),
        left => Err(Failure::new(Exit::Refused, format!("the vault still holds {left} copies"))
            .hint("is their filesystem mounted? see `quell agent vault list`")),
    }
}

fn resting(data_dir: &Path) -> Result<Vec<Kept>, Failure> {
    let mut kept = kept(data_dir, Request::VaultList)?;
    kept.retain(rests);
    Ok(kept)
}

fn list(resting: &[Kept]) {
    for kept in resting {
        let path = kept.resting.path.to_string_lossy();
        say::out(format!("{}  {}", kept.resting.id, printable(&path)));
    }
}

fn tell(removal: &Removal) {
    for path in &removal.removed {
        say::out(format!("removed {}", printable(&path.to_string_lossy())));
    }
    for (path, why) in &removal.left {
        say::out(format!("left {}: {}", printable(&path.to_string_lossy()), printable(why)));
    }
}
