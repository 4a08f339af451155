//! `quell agent inspect`: parse files that are handed in open, with no right but to compute.

use std::io;
use std::path::{Path, PathBuf};

use agent::inspector::Helper;
use inspect::{List, Trust};

use crate::failure::Failure;

/// This very program, also once another lies at its path.
const THIS: &str = "/proc/self/exe";

/// What the verb is told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The process that is answered, and with which this one ends
    parent: i32,
    /// A list of roots of `quell trust update`, if it is there
    #[arg(long, value_name = "FILE")]
    trust_roots: Option<PathBuf>,
}

/// How an agent with this data directory starts this verb.
pub(super) fn helper(data_dir: &Path) -> Helper {
    let verb = [THIS, "agent", "inspect", "--trust-roots"].map(Into::into);
    Helper(verb.into_iter().chain([data_dir.join(List::FILE).into()]).collect())
}

/// Returns when nobody asks any more. A list that comes later counts from the next start on.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut trust = Trust::carried();
    if let Some(list) = &args.trust_roots {
        add(&mut trust, list);
    }
    Ok(agent::inspector::inspect_for_parent(args.parent, &trust)?)
}

/// What can't be read or is damaged is no reason to know nothing of any file: what is carried counts on.
fn add(trust: &mut Trust, list: &Path) {
    let added = match std::fs::read(list) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => Err(error.to_string()),
        Ok(bytes) => trust.add_roots(&[bytes]).map_err(|why| why.to_string()),
    };
    if let Err(why) = added {
        tracing::error!(list = %list.display(), why, "the list of trusted roots does not count: update it anew");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_counts_beside_what_is_carried_and_a_damaged_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join(List::FILE);
        let counted = || {
            let mut trust = Trust::carried();
            add(&mut trust, &list);
            trust.lists().len()
        };
        assert_eq!(counted(), 1);
        std::fs::write(&list, include_str!("../../../inspect/data/microsoft-roots.pem")).unwrap();
        assert_eq!(counted(), 2);
        std::fs::write(&list, "no roots").unwrap();
        assert_eq!(counted(), 1);
    }
}
