//! `quell agent approve`: let go on what the brake of this machine holds.

use agent::local::{self, Holds, Reply, Request};
use model::HoldId;
use serde_json::{Value, json};
use wire::link::holds::signed_approval_of_text;
use wire::rest::Hold;

use crate::data_dir::DataDir;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::{say, table};

use super::release::who;

/// What the verb is told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// What is to go on, by its id
    #[arg(value_name = "ID", required_unless_present_any = ["list", "all", "signed", "operator_key"])]
    hold: Option<HoldId>,
    /// Only show what waits
    #[arg(long, conflicts_with_all = ["hold", "all", "signed", "comment"])]
    list: bool,
    /// Let all that waits go on
    #[arg(long, conflicts_with_all = ["hold", "signed"])]
    all: bool,
    /// What `quell operator sign` has printed
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["hold", "comment"])]
    signed: Option<String>,
    /// Take the operator key of this fingerprint, which the server has and the one before has not signed: the way out when
    /// that was lost
    #[arg(long, value_name = "FINGERPRINT", conflicts_with_all = ["hold", "list", "all", "signed"])]
    operator_key: Option<String>,
    /// Why; it stands in the audit
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["list", "signed"])]
    comment: Option<String>,
    #[command(flatten)]
    data_dir: DataDir,
    /// In which form to answer
    #[arg(short, long, value_enum, value_name = "FORM")]
    pub(super) output: Option<Format>,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let comment = args.comment.unwrap_or_default();
    let request = match (args.list, args.signed, args.operator_key) {
        (true, ..) => Request::Holds,
        (.., Some(fingerprint)) => Request::TrustKey(fingerprint, who(), comment),
        (_, Some(text), None) => {
            let signed = signed_approval_of_text(&text).map_err(|_| {
                Failure::usage("this is no signed approval")
                    .hint("paste what `quell operator sign` has printed")
            })?;
            Request::ApproveSigned(Box::new(signed))
        }
        _ => Request::Approve(args.hold, who(), comment),
    };
    let format = args.output.unwrap_or_default();
    match local::ask(&args.data_dir.path(), request)? {
        Reply::Holds(holds) => {
            tell(&holds, format);
            Ok(())
        }
        Reply::Approved(holds) => {
            match format {
                Format::Json => tell(&holds, format),
                Format::Table => {
                    for hold in &holds.holds {
                        say::out(format!("approved {}: it goes on", hold.id));
                    }
                }
            }
            Ok(())
        }
        Reply::TrustedKey(fingerprint) => {
            say::out(match format {
                Format::Json => json!({ "operatorKey": fingerprint }).to_string(),
                Format::Table => format!("the signature of {fingerprint} counts on this machine from now on"),
            });
            Ok(())
        }
        Reply::Refused(reason) => Err(Failure::new(Exit::Refused, reason)),
        _ => Err(Failure::new(Exit::Failed, "the agent answered something else")
            .hint("agent and command line are of different versions: restart `quell up`")),
    }
}

fn tell(holds: &Holds, format: Format) {
    let shapes =
        holds.holds.iter().map(|hold| Hold::new(holds.organization, holds.machine, "this machine", hold));
    let shapes: Vec<Value> = shapes.map(|hold| serde_json::to_value(hold).unwrap_or_default()).collect();
    say::out(match format {
        Format::Json => Value::from(shapes).to_string(),
        Format::Table if shapes.is_empty() => "nothing waits for approval".to_owned(),
        Format::Table => describe(&shapes),
    });
}

fn describe(holds: &[Value]) -> String {
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let runs = |hold: &Value| match &hold["crowds"][0] {
        Value::Null => "-".to_owned(),
        crowd => format!("{} ({} processes)", text(&crowd["path"]), crowd["processes"]),
    };
    table::rows(
        ["id", "what", "file", "runs", "since"],
        holds.iter().map(|hold| {
            [
                text(&hold["id"]),
                text(&hold["what"]),
                text(&hold["identifier"]),
                runs(hold),
                text(&hold["since"]),
            ]
        }),
    )
}
