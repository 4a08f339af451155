//! `quell agent vault`: the quarantined copies on this machine, and their way home.

use std::path::Path;

use agent::local::{self, Reply, Request};
use agent::vault::Resting;
use clap::Subcommand;
use model::VaultId;
use serde_json::{Value, json};
use wire::rest::Stamp;

use crate::data_dir::DataDir;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::{say, table};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// What the vault holds, as JSON unless a table is asked for
    List {
        #[command(flatten)]
        data_dir: DataDir,
        /// In which form to answer [default: json]
        #[arg(short, long, value_enum, value_name = "FORM")]
        output: Option<Format>,
    },
    /// Bring a copy back to where it was, and let it run on this machine again
    Restore {
        /// The copy's id in the vault
        #[arg(value_name = "ID")]
        id: VaultId,
        #[command(flatten)]
        data_dir: DataDir,
        /// In which form to answer
        #[arg(short, long, value_enum, value_name = "FORM")]
        output: Option<Format>,
    },
}

impl Verb {
    pub(super) fn output(&self) -> Option<Format> {
        match self {
            Self::List { output, .. } | Self::Restore { output, .. } => *output,
        }
    }
}

pub(super) fn run(verb: &Verb) -> Result<(), Failure> {
    match verb {
        Verb::List { data_dir, output } => list(&data_dir.path(), output.unwrap_or(Format::Json)),
        Verb::Restore { id, data_dir, output } => restore(&data_dir.path(), *id, output.unwrap_or_default()),
    }
}

fn list(data_dir: &Path, format: Format) -> Result<(), Failure> {
    match local::ask(data_dir, Request::VaultList)? {
        Reply::Resting(resting) => {
            say::out(match format {
                Format::Json => Value::from_iter(resting.iter().map(shape)).to_string(),
                Format::Table => describe(&resting),
            });
            Ok(())
        }
        other => Err(unexpected(other)),
    }
}

fn restore(data_dir: &Path, id: VaultId, format: Format) -> Result<(), Failure> {
    match local::ask(data_dir, Request::VaultRestore(id))? {
        Reply::Restored(path) => {
            let path = path.to_string_lossy();
            match format {
                Format::Json => say::out(json!({ "id": id.to_string(), "path": path })),
                Format::Table => say::out(crate::escape::printable(&path)),
            }
            Ok(())
        }
        other => Err(unexpected(other)),
    }
}

fn shape(resting: &Resting) -> Value {
    json!({
        "id": resting.id.to_string(),
        "path": resting.path.to_string_lossy(),
        "sha1": resting.digests.sha1.to_string(),
        "sha256": resting.digests.sha256.to_string(),
        "md5": resting.digests.md5.to_string(),
        "size": resting.size,
        "quarantinedAt": Stamp(resting.quarantined).to_string(),
        "order": resting.order.to_string(),
    })
}

fn describe(resting: &[Resting]) -> String {
    table::rows(
        ["id", "path", "sha-1", "size", "quarantined"],
        resting.iter().map(|copy| {
            [
                copy.id.to_string(),
                copy.path.to_string_lossy().into_owned(),
                copy.digests.sha1.to_string(),
                copy.size.to_string(),
                Stamp(copy.quarantined).to_string(),
            ]
        }),
    )
}

fn unexpected(reply: Reply) -> Failure {
    match reply {
        Reply::Refused(reason) => Failure::new(Exit::Refused, reason),
        _ => Failure::new(Exit::Failed, "the agent answered something else")
            .hint("agent and command line are of different versions: restart `quell up`"),
    }
}
