//! `quell agent vault`: the quarantined copies on this machine, and their way home.

use std::path::Path;

use agent::local::{self, Back, Reply, Request};
use agent::vault::{Fate, Kept, Which};
use clap::Subcommand;
use model::{FileId, OrderId, Sha1, Sha256, VaultId};
use serde_json::{Value, json};
use wire::rest::Stamp;

use crate::data_dir::DataDir;
use crate::escape::printable;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::terms::Terms;
use crate::{say, table};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// What the vault holds, as JSON unless a table is asked for
    List {
        /// Those too that were restored or removed, as far back as they are remembered
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        place: Place,
    },
    /// One copy: where it came from, where it rests, what it carries, what became of it
    Show {
        /// The copy's id in the vault
        #[arg(value_name = "ID")]
        id: VaultId,
        #[command(flatten)]
        place: Place,
    },
    /// Bring copies back to where they were, and let them run on this machine again
    Restore {
        #[command(flatten)]
        chosen: Chosen,
        #[command(flatten)]
        terms: Terms,
        #[command(flatten)]
        place: Place,
    },
    /// Remove a copy for good: nobody can restore it then
    Remove {
        /// The copy's id in the vault
        #[arg(value_name = "ID")]
        id: VaultId,
        /// Why; kept with what is remembered of the copy
        #[arg(long, value_name = "TEXT")]
        comment: String,
        /// It is meant: the bytes are gone then
        #[arg(long, required = true)]
        yes: bool,
        #[command(flatten)]
        place: Place,
    },
}

/// Whose vault, and how to tell of it.
#[derive(clap::Args)]
pub(super) struct Place {
    #[command(flatten)]
    data_dir: DataDir,
    /// In which form to answer
    #[arg(short, long, value_enum, value_name = "FORM")]
    output: Option<Format>,
}

/// Which copies.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Chosen {
    /// The copy's id in the vault
    #[arg(value_name = "ID")]
    id: Option<VaultId>,
    /// All copies that this order took
    #[arg(long, value_name = "ID")]
    order: Option<OrderId>,
    /// All copies of the file with this SHA-256
    #[arg(long, value_name = "DIGEST")]
    sha256: Option<Sha256>,
    /// All copies of the file with this SHA-1
    #[arg(long, value_name = "DIGEST")]
    sha1: Option<Sha1>,
}

impl Chosen {
    fn which(&self) -> Option<Which> {
        let id = self.id.map(Which::Copy);
        let order = self.order.map(Which::Order);
        let sha256 = self.sha256.map(|sha256| Which::File(FileId::Sha256(sha256)));
        let sha1 = self.sha1.map(|sha1| Which::File(FileId::Sha1(sha1)));
        id.or(order).or(sha256).or(sha1)
    }
}

impl Verb {
    pub(super) fn output(&self) -> Option<Format> {
        self.place().output
    }

    fn place(&self) -> &Place {
        match self {
            Self::List { place, .. }
            | Self::Show { place, .. }
            | Self::Restore { place, .. }
            | Self::Remove { place, .. } => place,
        }
    }
}

pub(super) fn run(verb: Verb) -> Result<(), Failure> {
    let (data_dir, output) = (verb.place().data_dir.path(), verb.output());
    match verb {
        Verb::List { all, .. } => list(&data_dir, all, output.unwrap_or(Format::Json)),
        Verb::Show { id, .. } => show(&data_dir, id, output.unwrap_or_default()),
        Verb::Restore { chosen, terms, .. } => {
            let which = chosen.which().ok_or_else(|| Failure::usage("say which copies"))?;
            restore(&data_dir, Request::VaultRestore(which, terms.into()), output.unwrap_or_default())
        }
        Verb::Remove { id, comment, .. } => remove(&data_dir, id, comment, output.unwrap_or_default()),
    }
}

fn list(data_dir: &Path, all: bool, format: Format) -> Result<(), Failure> {
    let mut kept = kept(data_dir, Request::VaultList)?;
    kept.retain(|kept| all || rests(kept));
    say::out(match format {
        Format::Json => Value::from_iter(kept.iter().map(shape)).to_string(),
        Format::Table => describe(&kept),
    });
    Ok(())
}

/// Whether the vault has it still.
pub(super) fn rests(kept: &Kept) -> bool {
    matches!(kept.fate, Fate::Rests(_) | Fate::Between)
}

/// What the vault has or had.
pub(super) fn kept(data_dir: &Path, request: Request) -> Result<Vec<Kept>, Failure> {
    match local::ask(data_dir, request)? {
        Reply::Kept(kept) => Ok(kept),
        other => Err(unexpected(other)),
    }
}

fn show(data_dir: &Path, id: VaultId, format: Format) -> Result<(), Failure> {
    for kept in kept(data_dir, Request::VaultShow(id))? {
        let mut shape = shape(&kept);
        let resting = &kept.resting;
        let attribute = |(name, value): &(std::ffi::OsString, Vec<u8>)| json!({ "name": name.to_string_lossy(), "bytes": value.len() });
        shape["mode"] = json!(format!("{:04o}", resting.metadata.mode & 0o7777));
        shape["owner"] = json!(resting.metadata.uid);
        shape["group"] = json!(resting.metadata.gid);
        shape["attributes"] = resting.metadata.attributes.iter().map(attribute).collect();
        shape["act"] = json!(resting.act.to_string());
        shape["mount"] = json!(resting.mount.to_string_lossy());
        shape["restsAt"] = json!(resting.rests_at.to_string_lossy());
        shape["renamed"] = json!(resting.renamed);
        shape["linkOf"] = json!(resting.link_of.map(|id| id.to_string()));
        say::out(match (format, &shape) {
            (Format::Table, Value::Object(facts)) => {
                let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let line = |(name, value): (&String, &Value)| (name.clone(), text(value));
                let facts: Vec<_> = facts.iter().map(line).collect();
                table::facts(facts.iter().map(|(name, value)| (name.as_str(), value.clone())))
            }
            _ => shape.to_string(),
        });
    }
    Ok(())
}

/// Restores and tells how each copy fared.
pub(super) fn restore(data_dir: &Path, request: Request, format: Format) -> Result<(), Failure> {
    let back = match local::ask(data_dir, request)? {
        Reply::Restored(back) => back,
        other => return Err(unexpected(other)),
    };
    match format {
        Format::Json => say::out(Value::from_iter(back.iter().map(shape_back))),
        Format::Table => back.iter().for_each(|back| say::out(describe_back(back))),
    }
    match back.iter().filter(|back| back.outcome.is_err()).count() {
        0 => Ok(()),
        failed => Err(Failure::new(
            Exit::Refused,
            format!("{failed} of {} copies were not restored, and rest still", back.len()),
        )),
    }
}

fn remove(data_dir: &Path, id: VaultId, comment: String, format: Format) -> Result<(), Failure> {
    if comment.trim().is_empty() {
        return Err(Failure::usage("a comment is required").hint("say why: --comment TEXT"));
    }
    match local::ask(data_dir, Request::VaultRemove(id, comment))? {
        Reply::Removed => {
            say::out(match format {
                Format::Json => json!({ "id": id.to_string(), "removed": true }).to_string(),
                Format::Table => format!("{id} was removed for good"),
            });
            Ok(())
        }
        other => Err(unexpected(other)),
    }
}

fn shape_back(back: &Back) -> Value {
    let returned = back.outcome.as_ref().ok();
    json!({
        "id": back.id.to_string(),
        "path": back.path.to_string_lossy(),
        "restoredTo": returned.map(|returned| returned.path.to_string_lossy()),
        "dropped": returned.map(|returned| returned.dropped.clone()).unwrap_or_default(),
        "failure": back.outcome.as_ref().err(),
    })
}

fn describe_back(back: &Back) -> String {
    match &back.outcome {
        Ok(returned) => {
            let path = returned.path.to_string_lossy();
            let remark = returned.remark().map(|remark| format!(" ({remark})")).unwrap_or_default();
            format!("{}{remark}", printable(&path))
        }
        Err(refusal) => format!("{}: {}", back.id, printable(refusal)),
    }
}

fn shape(kept: &Kept) -> Value {
    let resting = &kept.resting;
    let (state, end) = match &kept.fate {
        Fate::Rests(end) => ("resting", end.as_ref()),
        Fate::Between => ("interrupted", None),
        Fate::Restored(_) => ("restored", None),
        Fate::Removed(end) => ("removed", Some(end)),
    };
    let mut shape = json!({
        "id": resting.id.to_string(),
        "path": resting.path.to_string_lossy(),
        "sha1": resting.digests.sha1.to_string(),
        "sha256": resting.digests.sha256.to_string(),
        "md5": resting.digests.md5.to_string(),
        "size": resting.size,
        "quarantinedAt": Stamp(resting.quarantined).to_string(),
        "order": resting.order.to_string(),
        "state": state,
    });
    if let Some(end) = end {
        let key = if state == "removed" { "removedAt" } else { "toBeRemovedAt" };
        shape[key] = json!(Stamp(end.at).to_string());
        shape["removedBecause"] = json!(end.why);
    }
    if let Fate::Restored(returned) = &kept.fate {
        shape["restoredTo"] = json!(returned.path.to_string_lossy());
        shape["dropped"] = json!(returned.dropped);
    }
    shape
}

fn describe(kept: &[Kept]) -> String {
    table::rows(
        ["id", "path", "sha-1", "size", "quarantined", "state"],
        kept.iter().map(|kept| {
            let resting = &kept.resting;
            [
                resting.id.to_string(),
                resting.path.to_string_lossy().into_owned(),
                resting.digests.sha1.to_string(),
                resting.size.to_string(),
                Stamp(resting.quarantined).to_string(),
                state(&kept.fate),
            ]
        }),
    )
}

fn state(fate: &Fate) -> String {
    match fate {
        Fate::Rests(None) => "rests".to_owned(),
        Fate::Rests(Some(end)) => format!("rests, to be removed at {}: {}", Stamp(end.at), end.why),
        Fate::Between => "its move was interrupted".to_owned(),
        Fate::Restored(returned) => returned.remark().unwrap_or_else(|| "restored".to_owned()),
        Fate::Removed(end) => format!("removed at {}: {}", Stamp(end.at), end.why),
    }
}

pub(super) fn unexpected(reply: Reply) -> Failure {
    match reply {
        Reply::Refused(reason) => Failure::new(Exit::Refused, reason),
        _ => Failure::new(Exit::Failed, "the agent answered something else")
            .hint("agent and command line are of different versions: restart `quell up`"),
    }
}
