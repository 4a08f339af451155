//! `quell agent status`: how the agent is.

use std::path::{Path, PathBuf};

use agent::filesystems::Filesystem;
use agent::local::{self, Reply, Request, Status, counters};
use agent::warden;
use model::Time;
use serde_json::{Value, json};
use wire::rest::Stamp;

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
    // An agent that is away is not waited for: its warden says so.
    let warden = warden::ask(data_dir, warden::Request::Status);
    if let Ok(warden) = &warden
        && warden.work == 0
    {
        return Err(Failure::new(Exit::Failed, format!("the agent does not run; {}", of_warden(warden)))
            .hint("its warden starts it again; see its log"));
    }
    match local::ask(data_dir, Request::Status)? {
        Reply::Status(status) => Ok(*status),
        Reply::Refused(reason) => Err(Failure::new(
            Exit::Failed,
            match warden {
                Ok(warden) => format!("the agent does not answer; {}", of_warden(&warden)),
                Err(warden::Silent::Hangs(_)) => format!("{reason}; and its warden does not answer"),
                Err(warden::Silent::Absent) => reason,
            },
        )),
        _ => Err(Failure::new(Exit::Failed, "the agent answered something else")),
    }
}

/// What the warden alone can tell.
fn of_warden(status: &warden::Status) -> String {
    match (status.notice.as_str(), status.guard) {
        ("", 0) => format!("the guard is away (wanted: {})", status.level),
        ("", pid) => format!("the guard goes on with its last rules (process {pid}, {})", status.level),
        (notice, _) => format!("the guard: {}, {notice}", status.level),
    }
}

/// Where the sweep is and how fast. The estimate counts files of all kinds, directories among them.
fn sweeping(status: &Status, at: &Path) -> String {
    let of = match status.sweep_estimate {
        0 => String::new(),
        estimate => format!(" of about {estimate}"),
    };
    let rests = match status.sweep_held_up.as_str() {
        "" => String::new(),
        why => format!("; it rests {why}"),
    };
    let (seen, rate) = (status.sweep_seen, status.sweep_rate);
    format!("in {}, {seen} files{of} seen, {rate} a second{rests}", at.display())
}

fn describe(status: &Status) -> String {
    let yes = |is| if is { "yes" } else { "no" }.to_owned();
    let sweep = match (&status.sweeping, status.first_sweep_complete) {
        (Some(at), _) => sweeping(status, at),
        (None, true) => "complete".to_owned(),
        (None, false) => "not begun".to_owned(),
    };
    let facts = table::facts([
        ("files known", status.files_known.to_string()),
        ("sweep", sweep),
        ("attached", yes(status.attached)),
        ("sightings waiting", status.spool_waiting.to_string()),
        ("guard", guard(status)),
        ("guard fell", fell(status)),
        ("denies by", status.guard_mechanism.clone()),
        ("rules in force", yes(status.in_force)),
        ("rules", status.rules.to_string()),
        ("generation", status.position.generation.to_string()),
        ("spared copies", status.spared.to_string()),
        ("denied and running", status.running_denied.to_string()),
        ("waits for approval", waits(status.held)),
        ("operator key", operator_key(status)),
        ("guarded", names(&status.guarded).join(", ")),
        ("watched", names(&status.watched).join(", ")),
        ("vault", vault(status)),
        ("rivals", or_none(&status.rivals)),
    ]);
    let counters = counters(&status.counters).map(|(name, count)| (name, count.to_string()));
    let mut parts = vec![facts, table::facts(counters)];
    if !status.filesystems.is_empty() {
        parts.insert(1, filesystems(status));
    }
    parts.join("\n\n")
}

/// What rests, and what of it is about to be removed.
fn vault(status: &Status) -> String {
    let vault = &status.vault;
    let mut text = format!("{} copies, {} bytes", vault.copies, vault.bytes);
    if let Some(next) = vault.next_removal {
        let next = Stamp(Time::from_ticks(next));
        text += &format!("; {} of them are to be removed for good, the first at {next}", vault.to_be_removed);
    }
    if vault.removed > 0 {
        text += &format!("; {} were removed", vault.removed);
    }
    text
}

fn waits(held: u64) -> String {
    match held {
        0 => "nothing".to_owned(),
        held => format!("{held}; see `quell agent approve --list`"),
    }
}

fn operator_key(status: &Status) -> String {
    let (ours, offered) = (&status.operator_key, &status.operator_key_offered);
    match (ours.is_empty(), offered.is_empty()) {
        (true, _) => "none".to_owned(),
        (_, true) => ours.clone(),
        _ => format!(
            "{ours}; the server has {offered}, which that one has not signed: if it is meant, `quell agent approve \
             --operator-key {offered}`"
        ),
    }
}

/// Each filesystem and what is done there, in a line.
fn filesystems(status: &Status) -> String {
    let line = |filesystem: &Filesystem| {
        [
            filesystem.path.to_string_lossy().into_owned(),
            filesystem.kind.clone(),
            filesystem.state.to_string(),
        ]
    };
    let lines = table::rows(["filesystem", "type", "state"], status.filesystems.iter().map(line));
    match status.filesystems_left_out {
        0 => lines,
        more => format!("{lines}\nand {more} more"),
    }
}

fn shape(status: &Status) -> Value {
    let counters: serde_json::Map<String, Value> =
        counters(&status.counters).into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect();
    let filesystem = |filesystem: &Filesystem| {
        json!({
            "path": filesystem.path.to_string_lossy(),
            "type": filesystem.kind,
            "state": filesystem.state.to_string(),
        })
    };
    let filesystems: Vec<Value> = status.filesystems.iter().map(filesystem).collect();
    json!({
        "filesKnown": status.files_known,
        "sweepSeen": status.sweep_seen,
        "filesRead": status.files_read,
        "sweepEstimate": status.sweep_estimate,
        "sweepRate": status.sweep_rate,
        "sweepHeldUp": status.sweep_held_up,
        "firstSweepComplete": status.first_sweep_complete,
        "guardedComplete": status.guarded_complete,
        "programsComplete": status.programs_complete,
        "sweeping": status.sweeping.as_ref().map(|path| path.to_string_lossy()),
        "spoolWaiting": status.spool_waiting,
        "attached": status.attached,
        "epoch": status.position.epoch.0,
        "generation": status.position.generation.0,
        "guardLevel": status.guard_level,
        "guardNotice": status.guard_notice,
        "guardDeaths": status.guard_deaths,
        "guardGapMs": status.guard_gap_ms,
        "guardMechanism": status.guard_mechanism,
        "inForce": status.in_force,
        "guarded": names(&status.guarded),
        "watched": names(&status.watched),
        "filesystems": filesystems,
        "filesystemsLeftOut": status.filesystems_left_out,
        "counters": counters,
        "rules": status.rules,
        "spared": status.spared,
        "runningDenied": status.running_denied,
        "held": status.held,
        "operatorKey": status.operator_key,
        "operatorKeyOffered": status.operator_key_offered,
        "rivals": status.rivals,
        "vault": {
            "copies": status.vault.copies,
            "bytes": status.vault.bytes,
            "toBeRemoved": status.vault.to_be_removed,
            "nextRemoval": status.vault.next_removal.map(|at| Stamp(Time::from_ticks(at)).to_string()),
            "removed": status.vault.removed,
        },
    })
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Its level, and why it does not deny all that it should.
fn guard(status: &Status) -> String {
    match status.guard_notice.as_str() {
        "" => status.guard_level.clone(),
        notice => format!("{}: {notice}", status.guard_level),
    }
}

/// How often it fell, and how long nothing was denied the last time.
fn fell(status: &Status) -> String {
    let times = match status.guard_deaths {
        0 => return "never since the warden's start".to_owned(),
        1 => "once".to_owned(),
        deaths => format!("{deaths} times"),
    };
    match status.guard_gap_ms {
        Some(gap) => format!("{times}, nothing was denied for {gap} ms the last time"),
        None => times,
    }
}

fn names(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use agent::filesystems::State;

    use super::*;

    #[test]
    fn a_sweep_says_where_it_is() {
        let status = Status { sweeping: Some("/usr\n".into()), sweep_seen: 7, ..Status::default() };
        assert!(describe(&status).contains("in /usr\\n, 7 files seen"));
        assert_eq!(shape(&status)["sweepSeen"], 7);
    }

    #[test]
    fn each_filesystem_has_a_line_and_a_reason() {
        let filesystem =
            |path: &str, state| Filesystem { device: 1, path: path.into(), kind: "tmpfs".into(), state };
        let filesystems = vec![
            filesystem("/run", State::Guarded),
            filesystem("/box", State::Failed("no space".to_owned())),
        ];
        let status = Status { filesystems, filesystems_left_out: 3, ..Status::default() };
        let described = describe(&status);
        assert!(described.lines().any(|line| line.contains("/box") && line.ends_with("failed: no space")));
        assert!(described.contains("and 3 more"));
        assert_eq!(shape(&status)["filesystems"][0]["state"], "guarded");
    }
}
