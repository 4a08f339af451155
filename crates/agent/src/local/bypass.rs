//! A user goes past a rule that warns.

use std::time::Duration;

use model::bypass::Bypass;
use model::rule::Effect;
use model::verdict::{Because, judge};
use model::{FileId, Names, RuleId, Sha256, Time};

use super::Reply;
use crate::core::{Core, Nudge};

/// How long a warning stays passed.
const LASTS: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the guard may take to learn of it.
const PATIENCE: Duration = Duration::from_secs(2);
/// No reason is longer.
const LONGEST_COMMENT: usize = 1000;

/// Lets that user run that file, if all that keeps it from running is a warning.
pub(super) fn bypass(core: &Core, user: u32, file: &FileId, comment: &str) -> Reply {
    let comment = comment.trim();
    if comment.is_empty() || comment.len() > LONGEST_COMMENT {
        return refused("say why, in up to 1000 bytes");
    }
    let Some(names) = names(core, file) else {
        return refused(format!("no file {file} is known on this machine; name it by its SHA-256"));
    };
    let now = core.server_now();
    let rule = match warning(core, &names, now) {
        Ok(rule) => rule,
        Err(refusal) => return refusal,
    };
    let until = Time::from_ticks(now.ticks().saturating_add(ticks(LASTS)));
    let bypass = Bypass { user, sha256: names.sha256, until };
    let kept = core.ledger.lock().bypass(&bypass, rule, comment, now);
    if let Err(error) = kept {
        return refused(format!("the ledger can't be written: {error}; the warning holds"));
    }
    tracing::warn!(user, sha256 = %names.sha256, %rule, comment, "a user goes past a warning");
    core.nudge(Nudge::Ended);
    match core.enforce(PATIENCE) {
        Ok(_) => Reply::Bypassed(until),
        Err(error) => refused(format!("{error}; the warning ends when the guard is back")),
    }
}

/// The rule that warns of the file and is the strongest about it.
fn warning(core: &Core, names: &Names, now: Time) -> Result<RuleId, Reply> {
    let ledger = core.ledger.lock();
    match judge(ledger.rules().matching(names), now, || false).because {
        Because::Rule(rule, Effect::Warn) => Ok(rule),
        Because::Rule(rule, effect) if effect.denies() => {
            Err(refused(format!("rule {rule} denies this file; only a warning can be passed")))
        }
        _ => Err(refused("no rule warns of this file")),
    }
}

/// What is known of the file: the digests of a copy, or at least the one that was named.
fn names(core: &Core, file: &FileId) -> Option<Names> {
    let paths = core.inventory.copies_of(file).unwrap_or_default();
    let known = paths.iter().find_map(|path| core.inventory.at(path)).map(|known| known.digests);
    let known = known.filter(|digests| file.names(digests)).map(Names::from);
    known.or(match file {
        FileId::Sha256(sha256) => Some(alone(*sha256)),
        FileId::Sha1(_) => None,
    })
}

fn alone(sha256: Sha256) -> Names {
    Names { sha256, sha1: None, md5: None }
}

fn ticks(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos() / 100).unwrap_or(i64::MAX)
}

fn refused(why: impl Into<String>) -> Reply {
    Reply::Refused(why.into())
}
