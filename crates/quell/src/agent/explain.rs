//! `quell agent explain`: why something ran or did not.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use agent::local::{self, About, Explanation, GivenAnswer, Reply, Request};
use model::Names;
use serde_json::{Value, json};
use wire::link::v1::Digests;

use crate::data_dir::DataDir;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::{say, table};

/// What the verb is told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A process id, or a path (./7 for a file whose name is a number)
    #[arg(value_name = "PID|PATH")]
    about: String,
    #[command(flatten)]
    data_dir: DataDir,
    /// In which form to answer
    #[arg(short, long, value_enum, value_name = "FORM")]
    pub(super) output: Option<Format>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let about = match args.about.parse() {
        Ok(pid) => About::Process(pid),
        Err(_) => {
            About::Path(std::path::absolute(&args.about).unwrap_or_else(|_| PathBuf::from(&args.about)))
        }
    };
    match local::ask(&args.data_dir.path(), Request::Explain(about))? {
        Reply::Explained(explanation) => {
            say::out(match args.output.unwrap_or_default() {
                Format::Table => describe(&explanation),
                Format::Json => shape(&explanation).to_string(),
            });
            Ok(())
        }
        Reply::Refused(reason) => Err(Failure::new(Exit::NotFound, reason)),
        _ => Err(Failure::new(Exit::Failed, "the agent answered something else")),
    }
}

fn describe(explanation: &Explanation) -> String {
    let names = names(explanation.digests.as_ref());
    let digest = |digest: Option<String>| digest.unwrap_or_else(|| "-".to_owned());
    let mut text = table::facts([
        ("path", String::from_utf8_lossy(&explanation.path).into_owned()),
        ("sha256", digest(names.map(|names| names.sha256.to_string()))),
        ("sha1", digest(names.and_then(|names| names.sha1).map(|sha1| sha1.to_string()))),
        ("size", explanation.size.to_string()),
        ("guard", explanation.guard_level.clone()),
        ("would be answered now", now(explanation)),
    ]);
    let rows = explanation.answers.iter().map(|answer| {
        [
            format!("{} ago", age(explanation, answer)),
            answer.pid.to_string(),
            if answer.permitted { "permitted" } else { "refused" }.to_owned(),
            because(answer),
            format!("{} µs", answer.waited_us),
        ]
    });
    let _ = write!(text, "\n\n{}", table::rows(["answered", "pid", "answer", "because", "waited"], rows));
    text
}

fn names(digests: Option<&Digests>) -> Option<Names> {
    Names::try_from(digests?).ok()
}

fn now(explanation: &Explanation) -> String {
    let rule = explanation.rule.map(|rule| rule.to_string()).unwrap_or_default();
    match explanation {
        Explanation { unreadable, .. } if !unreadable.is_empty() => format!("unknown: {unreadable}"),
        Explanation { guarded: false, .. } => "nothing: its filesystem is not guarded".to_owned(),
        Explanation { spared: true, .. } => format!("permitted: spared, against rule {rule}"),
        Explanation { rule: None, .. } => "permitted: no rule is about it".to_owned(),
        Explanation { permitted: true, effect, .. } => format!("permitted: rule {rule} ({effect})"),
        Explanation { effect, .. } => format!("refused: rule {rule} ({effect})"),
    }
}

fn because(answer: &GivenAnswer) -> String {
    let rule = answer.rule.map(|rule| format!("rule {rule} ({})", answer.effect));
    let rule = rule.unwrap_or_else(|| "no rule is about it".to_owned());
    match answer.reason.as_str() {
        "known" => format!("{rule}; its digests were known"),
        "read" => format!("{rule}; it was read for this"),
        "busy" => "somebody was writing to it".to_owned(),
        "late" => "its digests were not there in time".to_owned(),
        "relieved" => "another guard takes over, and judged it".to_owned(),
        "overdrawn" => "its user ran more than a fair share of unknown files at once; try again".to_owned(),
        "data" => "it was opened, and is nothing that runs".to_owned(),
        _ => "it could not be read".to_owned(),
    }
}

fn age(explanation: &Explanation, answer: &GivenAnswer) -> String {
    let ticks = u64::try_from(explanation.now.saturating_sub(answer.at)).unwrap_or(0);
    format!("{:.1?}", Duration::from_millis(ticks / 10_000))
}

fn shape(explanation: &Explanation) -> Value {
    let digests = names(explanation.digests.as_ref());
    let answer = |answer: &GivenAnswer| {
        json!({
            "pid": answer.pid,
            "permitted": answer.permitted,
            "reason": answer.reason,
            "rule": answer.rule,
            "effect": answer.effect,
            "spared": answer.spared,
            "waitedUs": answer.waited_us,
            "ageMs": explanation.now.saturating_sub(answer.at) / 10_000,
            "sha256": names(answer.digests.as_ref()).map(|names| names.sha256.to_string()),
        })
    };
    json!({
        "path": String::from_utf8_lossy(&explanation.path),
        "sha256": digests.map(|names| names.sha256.to_string()),
        "sha1": digests.and_then(|names| names.sha1).map(|sha1| sha1.to_string()),
        "md5": digests.and_then(|names| names.md5).map(|md5| md5.to_string()),
        "size": explanation.size,
        "guardLevel": explanation.guard_level,
        "guarded": explanation.guarded,
        "permitted": explanation.permitted,
        "rule": explanation.rule,
        "effect": explanation.effect,
        "spared": explanation.spared,
        "unreadable": explanation.unreadable,
        "answers": explanation.answers.iter().map(answer).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_why() {
        let denied =
            Explanation { guarded: true, rule: Some(7), effect: "deny".into(), ..Default::default() };
        assert_eq!(now(&denied), "refused: rule 7 (deny)");
        assert_eq!(
            now(&Explanation { spared: true, permitted: true, ..denied.clone() }),
            "permitted: spared, against rule 7"
        );
        assert_eq!(now(&Explanation { guarded: false, ..denied }), "nothing: its filesystem is not guarded");
        let answer = GivenAnswer { reason: "late".into(), permitted: true, ..Default::default() };
        assert_eq!(because(&answer), "its digests were not there in time");
    }
}
