//! `quell agent spared`: what may never be denied or quarantined here.

use std::path::PathBuf;

use agent::local::{self, Reply, Request};
use agent::spared::{State, Surveyed};
use serde_json::{Value, json};

use crate::data_dir::DataDir;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::{say, table};

/// What the verb is told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Only this path, and whether what lies there now is spared: the exit code is 0 if it is
    #[arg(long, value_name = "PATH")]
    check: Option<PathBuf>,
    #[command(flatten)]
    data_dir: DataDir,
    /// In which form to answer
    #[arg(short, long, value_enum, value_name = "FORM")]
    pub(super) output: Option<Format>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let check = args.check.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    let (surveyed, notice) = match local::ask(&args.data_dir.path(), Request::Spared(check))? {
        Reply::Spared(surveyed, notice) => (surveyed, notice),
        Reply::Refused(reason) => return Err(Failure::new(Exit::NotFound, reason)),
        _ => return Err(Failure::new(Exit::Failed, "the agent answered something else")),
    };
    if !notice.is_empty() {
        say::aside(format!("the spared set is not up to date: {notice}"));
    }
    let Some(path) = &args.check else {
        say::out(match args.output.unwrap_or_default() {
            Format::Table => describe(&surveyed),
            Format::Json => Value::from_iter(surveyed.iter().map(shape)).to_string(),
        });
        return Ok(());
    };
    let Some(one) = surveyed.first() else {
        let reason = format!("{} is not of the spared set: it can be denied", path.display());
        return Err(Failure::new(Exit::NotFound, reason));
    };
    say::out(match args.output.unwrap_or_default() {
        Format::Table => describe(&surveyed),
        Format::Json => shape(one).to_string(),
    });
    match one.state {
        State::Matches => Ok(()),
        state => {
            let reason = format!("{} is not spared: {}", path.display(), meaning(state));
            Err(Failure::new(Exit::Refused, reason).hint("it can be denied, after confirmation"))
        }
    }
}

fn meaning(state: State) -> &'static str {
    match state {
        State::Matches => "it is what was recorded",
        State::Differs => "it is not what was recorded",
        State::Unrecorded => "no package knows it, and it was not there at enrolment",
    }
}

fn record(one: &Surveyed) -> &'static str {
    one.database.map_or("baseline", |database| database.word())
}

fn shape(one: &Surveyed) -> Value {
    json!({
        "path": one.path.to_string_lossy(),
        "sha256": one.digests.sha256.to_string(),
        "sha1": one.digests.sha1.to_string(),
        "md5": one.digests.md5.to_string(),
        "record": record(one),
        "package": one.database.map(|_| &one.package),
        "state": one.state.word(),
        "spared": one.state == State::Matches,
        "why": one.why,
    })
}

fn describe(surveyed: &[Surveyed]) -> String {
    table::rows(
        ["path", "record", "package", "state", "why"],
        surveyed.iter().map(|one| {
            [
                one.path.to_string_lossy().into_owned(),
                record(one).to_owned(),
                if one.package.is_empty() { "-".to_owned() } else { one.package.clone() },
                one.state.word().to_owned(),
                one.why.clone(),
            ]
        }),
    )
}
