//! `quell operator key`: show it, or take its private half away from the server.

use std::path::{Path, PathBuf};

use serde_json::json;
use server::operator::{OperatorKey, fingerprint};

use crate::data_dir::DataDir;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::say;

/// What the verb is told.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    data_dir: DataDir,
    /// Copy the private half to this new file
    #[arg(long, value_name = "FILE", conflicts_with = "move_to")]
    export: Option<PathBuf>,
    /// Move the private half to this new file: who steals the server then can't approve anything
    #[arg(long = "move", value_name = "FILE")]
    move_to: Option<PathBuf>,
}

pub(super) fn run(args: &Args, format: Format) -> Result<(), Failure> {
    let path = OperatorKey::path(&args.data_dir.path());
    let key = read(&path)?;
    if let Some(to) = args.export.as_ref().or(args.move_to.as_ref()) {
        key.write(to)?;
    }
    if args.move_to.is_some() {
        std::fs::remove_file(&path).and_then(|()| sync_parent(&path)).map_err(|error| {
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

/// The key in a file.
pub(super) fn read(path: &Path) -> Result<OperatorKey, Failure> {
    OperatorKey::read(path).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot read the operator key: {error:#}")).hint(
            "it is made by the server's first start, and may have been moved elsewhere: name the file with --key FILE",
        )
    })
}

fn sync_parent(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |parent| std::fs::File::open(parent)?.sync_all())
}
