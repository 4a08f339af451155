//! `quell agent status`: how the agent is.

use std::path::{Path, PathBuf};

use agent::local::{self, Reply, Request, Status, counters};
use serde_json::{Value, json};

use crate::data_dir::DataDir;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::{say, table};

/// What the verb is told.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    data_dir: DataDir,
    /// In which form to answer
    #[arg(short, long, value_enum, value_name = "FORM")]
    pub(super) output: Option<Format>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let status = ask(&args.data_dir.path())?;
    say::out(match args.output.unwrap_or_default() {
        Format::Table => describe(&status),
        Format::Json => shape(&status).to_string(),
    });
    Ok(())
}

/// Asks the agent how it is.
pub(super) fn ask(data_dir: &Path) -> Result<Status, Failure> {
    match local::ask(data_dir, Request::Status)? {
        Reply::Status(status) => Ok(*status),
        Reply::Refused(reason) => Err(Failure::new(Exit::Failed, reason)),
        Reply::Resting(_) | Reply::Restored(_) => {
            Err(Failure::new(Exit::Failed, "the agent answered something else"))
        }
    }
}

fn describe(status: &Status) -> String {
    let yes = |is| if is { "yes" } else { "no" }.to_owned();
    let sweep = match (&status.sweeping, status.first_sweep_complete) {
        (Some(at), _) => format!("in {}, {} files seen", at.display(), status.sweep_seen),
        (None, true) => "complete".to_owned(),
        (None, false) => "not begun".to_owned(),
    };
    let facts = table::facts([
        ("files known", status.files_known.to_string()),
        ("sweep", sweep),
        ("attached", yes(status.attached)),
        ("sightings waiting", status.spool_waiting.to_string()),
        ("guard", status.guard_level.clone()),
        ("denies by", status.guard_mechanism.clone()),
        ("rules in force", yes(status.in_force)),
        ("rules", status.rules.to_string()),
        ("generation", status.position.generation.to_string()),
        ("spared copies", status.spared.to_string()),
        ("guarded", names(&status.guarded).join(", ")),
        ("watched", names(&status.watched).join(", ")),
    ]);
    let counters = counters(&status.counters).map(|(name, count)| (name, count.to_string()));
    format!("{facts}\n\n{}", table::facts(counters))
}

fn shape(status: &Status) -> Value {
    let counters: serde_json::Map<String, Value> =
        counters(&status.counters).into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect();
    json!({
        "filesKnown": status.files_known,
        "sweepSeen": status.sweep_seen,
        "firstSweepComplete": status.first_sweep_complete,
        "sweeping": status.sweeping.as_ref().map(|path| path.to_string_lossy()),
        "spoolWaiting": status.spool_waiting,
        "attached": status.attached,
        "epoch": status.position.epoch.0,
        "generation": status.position.generation.0,
        "guardLevel": status.guard_level,
        "guardMechanism": status.guard_mechanism,
        "inForce": status.in_force,
        "guarded": names(&status.guarded),
        "watched": names(&status.watched),
        "counters": counters,
        "rules": status.rules,
        "spared": status.spared,
    })
}

fn names(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_says_where_it_is() {
        let status = Status { sweeping: Some("/usr\n".into()), sweep_seen: 7, ..Status::default() };
        assert!(describe(&status).contains("in /usr\\n, 7 files seen"));
        assert_eq!(shape(&status)["sweepSeen"], 7);
    }
}
