//! `quell rule`: rules that make rules.

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use crate::client::comment::Comment;
use crate::client::{Connection, list, text};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::{say, table};

const POLICIES: &str = "/api/quell/policies";

/// What the role is told.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Block what is judged so, from now on: one rule for each file that a machine has seen, and no more than a hundred
    /// an hour. A rule ends when its file is judged otherwise
    Add {
        #[command(flatten)]
        when: When,
        #[command(flatten)]
        comment: Comment,
    },
    /// The rules that make rules
    List,
    /// Make no more rules by it; those that it made stay
    Remove {
        #[command(flatten)]
        when: When,
        #[command(flatten)]
        comment: Comment,
    },
}

#[derive(clap::Args)]
struct When {
    /// For files that are judged so
    #[arg(long, value_enum, value_name = "TYPE")]
    on_determination: On,
}

#[derive(Clone, Copy, ValueEnum)]
enum On {
    Malware,
}

impl When {
    fn path(&self) -> String {
        match self.on_determination {
            On::Malware => format!("{POLICIES}/malware"),
        }
    }
}

/// Does what the verb says.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let format = args.connection.format();
    let api = args.connection.api()?;
    match args.verb {
        Verb::Add { when, comment } => {
            api.put(&when.path(), &json!({ "Comment": comment.words()? }))?;
            say::aside("files that are judged to be malware are blocked from now on");
        }
        Verb::Remove { when, comment } => {
            let body = json!({ "Comment": comment.words()? });
            api.delete(&when.path(), &body).map_err(|failure| match failure.exit {
                Exit::NotFound => failure.hint("see which there are: quell rule list"),
                _ => failure,
            })?;
            say::aside("no more files are blocked for that; those that are stay so: quell order list");
        }
        Verb::List => {
            let answer = api.get(POLICIES)?;
            match format {
                Format::Json => say::out(answer.body),
                Format::Table => say::out(table::rows(
                    ["on determination", "effect", "by", "since", "comment", "blocked", "spared"],
                    list(&answer.json).iter().map(|policy| {
                        let keys = ["onDetermination", "effect", "requestor", "created", "requestorComment"];
                        let [on, effect, by, since, comment] = keys.map(|key| text(policy, key));
                        [on, effect, by, since, comment, text(policy, "blocked"), text(policy, "refused")]
                    }),
                )),
            }
        }
    }
    Ok(())
}
