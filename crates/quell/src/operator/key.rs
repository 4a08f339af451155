//! `quell operator key`: show it, take its private half away from the server, or have another one follow.

use std::path::{Path, PathBuf};

use serde_json::json;
use server::operator::{OperatorKey, fingerprint};

use crate::data_dir::DataDir;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::say;

use super::rotate;

/// What the verb is told.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) verb: Option<Verb>,
    #[command(flatten)]
    pub(super) here: Here,
}

#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Have another key follow, by the signature of the one of now: machines take that one's word from then on, and no more
    /// the old one's
    Rotate(rotate::Args),
    /// Put a new key in the place of one whose private half is lost: it counts on the server from its next start on, and on a
    /// machine when root there says so
    Replace(Replace),
}

/// Whose key is lost.
#[derive(clap::Args)]
pub(super) struct Replace {
    #[command(flatten)]
    data_dir: DataDir,
}

/// What is to be done with the key that is here.
#[derive(clap::Args)]
pub(super) struct Here {
    #[command(flatten)]
    data_dir: DataDir,
    /// Copy the private half to this new file
    #[arg(long, value_name = "FILE", conflicts_with = "move_to")]
    export: Option<PathBuf>,
    /// Move the private half to this new file: who steals the server then can't approve anything
    #[arg(long = "move", value_name = "FILE")]
    move_to: Option<PathBuf>,
}

pub(super) fn run(args: &Here, format: Format) -> Result<(), Failure> {
    let path = OperatorKey::path(&args.data_dir.path());
    let key = read(&path)?;
    if let Some(to) = args.export.as_ref().or(args.move_to.as_ref()) {
        key.write(to)?;
    }
    if args.move_to.is_some() {
        remove(&path).map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot remove {}: {error}", path.display()))
                .hint("the copy is made; remove this one yourself")
        })?;
    }
    let place = args.move_to.as_ref().unwrap_or(&path).display().to_string();
    let public = data_encoding::HEXLOWER.encode(&key.public());
    let name = fingerprint(&key.public());
    say::out(match format {
        Format::Json => json!({ "fingerprint": name, "public": public, "privateHalf": place }).to_string(),
        Format::Table => format!("fingerprint  {name}\npublic half  {public}\nprivate half {place}"),
    });
    Ok(())
}

/// Nobody can sign for the new one: who rules the data directory says so here, and root on each machine there.
pub(super) fn replace(args: &Replace, format: Format) -> Result<(), Failure> {
    let place = OperatorKey::replacement_path(&args.data_dir.path());
    let key = if place.exists() { read(&place)? } else { OperatorKey::new()? };
    if !place.exists() {
        key.write_replacement(&args.data_dir.path())?;
    }
    let name = fingerprint(&key.public());
    say::out(match format {
        Format::Json => {
            json!({ "fingerprint": name, "privateHalf": place.display().to_string() }).to_string()
        }
        Format::Table => format!("fingerprint  {name}\nprivate half {}", place.display()),
    });
    say::aside(format!(
        "restart the server: it takes this key then. On each machine root takes it with `quell agent approve --operator-key \
         {name} --comment TEXT`; until then approve there with `quell agent approve`"
    ));
    Ok(())
}

/// The key in a file.
pub(super) fn read(path: &Path) -> Result<OperatorKey, Failure> {
    OperatorKey::read(path).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot read the operator key: {error:#}")).hint(
            "it is made by the server's first start, and may have been moved elsewhere: name the file with --key FILE",
        )
    })
}

/// Removes a private half: durable when it returns.
pub(super) fn remove(path: &Path) -> std::io::Result<()> {
    std::fs::remove_file(path)?;
    path.parent().map_or(Ok(()), |parent| std::fs::File::open(parent)?.sync_all())
}
