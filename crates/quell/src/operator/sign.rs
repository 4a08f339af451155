//! `quell operator sign`: put the operator key's name under an approval.

use model::hold::{Approval, Held};
use model::rule::Identifier;
use model::{Clock, Time};
use serde_json::json;
use server::clock::SystemClock;
use server::operator::OperatorKey;
use wire::link::holds::{LONGEST_COMMENT, signed_approval_of_text, signed_approval_text};
use wire::rest::Stamp;

use crate::client::comment::Comment;
use crate::failure::Failure;
use crate::output::Format;
use crate::say;

use super::{With, key};

pub(super) fn run(request: &str, with: &With, comment: Comment, format: Format) -> Result<(), Failure> {
    let signed = signed(request, with, comment)?;
    match format {
        Format::Json => say::out(json!({ "approval": signed })),
        Format::Table => say::out(signed),
    }
    Ok(())
}

/// Says what is signed, and signs it. What is said is made of what is signed, whoever made the request.
pub(super) fn signed(request: &str, with: &With, comment: Comment) -> Result<String, Failure> {
    let asked = asked(request)?;
    let comment = comment.words()?;
    if comment.len() > LONGEST_COMMENT {
        return Err(Failure::usage(format!("the comment is longer than {LONGEST_COMMENT} bytes")));
    }
    let path = with.key.clone().unwrap_or_else(|| OperatorKey::path(&with.data_dir.path()));
    let key = key::read(&path)?;
    let approval = Approval { until: until(with.valid_for), comment, ..asked };
    say::aside(format!(
        "signed: {} on machine {}, until {}",
        describe(&approval.what),
        approval.machine,
        Stamp(approval.until)
    ));
    Ok(signed_approval_text(&key.sign(&approval)))
}

/// What a request asks for.
pub(super) fn asked(request: &str) -> Result<Approval, Failure> {
    let asked = signed_approval_of_text(request).and_then(|asked| Approval::try_from(&asked));
    asked.map_err(|_| {
        Failure::usage("this is no request for an approval")
            .hint("paste the `request` that `quell operator list -o json` shows")
    })
}

fn describe(what: &Held) -> String {
    match what {
        Held::Denial(rule) => {
            let file = match rule.identifier {
                Identifier::Sha256(sha256) => format!("file {sha256}"),
                Identifier::Sha1(sha1) => format!("files with SHA-1 {sha1}"),
                Identifier::Md5(md5) => format!("files with MD5 {md5}"),
                Identifier::Signer(thumbprint) => format!("all that {thumbprint} has signed"),
            };
            format!("rule {} may {} {file}", rule.id, rule.effect.word())
        }
        Held::Quarantine { file, order, .. } => format!("order {order} may quarantine file {file}"),
    }
}

/// By this machine's clock, which the operator trusts.
fn until(hours: u32) -> Time {
    const HOUR: i64 = 3600 * 10_000_000;
    Time::from_ticks(SystemClock.now().ticks() + i64::from(hours) * HOUR)
}
