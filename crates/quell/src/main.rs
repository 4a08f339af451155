//! Quell: one binary, an enum of roles, each role a file with `run()`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;
use output::Format;

#[cfg(feature = "agent")]
mod agent;
#[cfg(feature = "client")]
mod file;
#[cfg(feature = "client")]
mod list;
#[cfg(feature = "client")]
mod machine;
#[cfg(all(feature = "serve", feature = "agent", feature = "client"))]
mod operator;
#[cfg(feature = "client")]
mod order;
#[cfg(feature = "client")]
mod rule;
#[cfg(feature = "client")]
mod token;
#[cfg(feature = "client")]
mod trust;
#[cfg(all(feature = "serve", feature = "agent"))]
mod up;

#[cfg(feature = "client")]
mod client;

#[cfg(not(any(feature = "agent", feature = "client")))]
compile_error!("there is no role for the server alone yet: add the feature `agent` or `client`");

#[cfg(feature = "client")]
mod clock;
mod data_dir;
mod escape;
mod exit;
mod failure;
mod log;
mod output;
mod profile;
mod say;
mod table;
mod terms;

/// Looks files up, blocks them everywhere, stops and quarantines them, and brings them back.
#[derive(Parser)]
#[command(name = "quell", version, after_help = exit::HELP, subcommand_required = true)]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Start a whole fleet of one: server, token issuer, and an agent enrolled as this machine
    #[cfg(all(feature = "serve", feature = "agent"))]
    Up(up::Args),
    /// What runs on a machine, and what it keeps there: status, vault
    #[cfg(feature = "agent")]
    Agent(agent::Args),
    /// Look a file up, see where it is, block and unblock it
    #[cfg(feature = "client")]
    File(file::Args),
    /// Lists of digests that judge files: import, see and remove them
    #[cfg(feature = "client")]
    List(list::Args),
    /// See the machines; stop and quarantine a file on one
    #[cfg(feature = "client")]
    Machine(machine::Args),
    /// Follow and undo what was ordered
    #[cfg(feature = "client")]
    Order(order::Args),
    /// Rules that make rules: block what is judged to be malware
    #[cfg(feature = "client")]
    Rule(rule::Args),
    /// The operator key, and what waits for its word
    #[cfg(all(feature = "serve", feature = "agent", feature = "client"))]
    Operator(operator::Args),
    /// Print a bearer token for calls of your own
    #[cfg(feature = "client")]
    Token(token::Args),
    /// Whom this host trusts to sign code
    #[cfg(feature = "client")]
    Trust(trust::Args),
}

impl Role {
    fn run(self) -> Result<(), Failure> {
        match self {
            #[cfg(all(feature = "serve", feature = "agent"))]
            Self::Up(args) => up::run(args),
            #[cfg(feature = "agent")]
            Self::Agent(args) => agent::run(args),
            #[cfg(feature = "client")]
            Self::File(args) => file::run(args),
            #[cfg(feature = "client")]
            Self::List(args) => list::run(args),
            #[cfg(feature = "client")]
            Self::Machine(args) => machine::run(args),
            #[cfg(feature = "client")]
            Self::Order(args) => order::run(args),
            #[cfg(feature = "client")]
            Self::Rule(args) => rule::run(args),
            #[cfg(all(feature = "serve", feature = "agent", feature = "client"))]
            Self::Operator(args) => operator::run(args),
            #[cfg(feature = "client")]
            Self::Token(args) => token::run(args),
            #[cfg(feature = "client")]
            Self::Trust(args) => trust::run(&args),
        }
    }

    /// In which form errors are told.
    fn format(&self) -> Format {
        match self {
            #[cfg(all(feature = "serve", feature = "agent"))]
            Self::Up(_) => Format::Table,
            #[cfg(feature = "agent")]
            Self::Agent(args) => args.format().unwrap_or_default(),
            #[cfg(feature = "client")]
            Self::File(args) => args.connection.format(),
            #[cfg(feature = "client")]
            Self::List(args) => args.connection.format(),
            #[cfg(feature = "client")]
            Self::Machine(args) => args.connection.format(),
            #[cfg(feature = "client")]
            Self::Order(args) => args.connection.format(),
            #[cfg(feature = "client")]
            Self::Rule(args) => args.connection.format(),
            #[cfg(all(feature = "serve", feature = "agent", feature = "client"))]
            Self::Operator(args) => args.connection.format(),
            #[cfg(feature = "client")]
            Self::Token(args) => args.connection.format(),
            #[cfg(feature = "client")]
            Self::Trust(args) => args.output,
        }
    }
}

fn main() -> ExitCode {
    let role = Cli::parse().role;
    log::begin();
    let format = role.format();
    match role.run() {
        Ok(()) => exit::Exit::Done.into(),
        Err(failure) => {
            failure.tell(format);
            failure.exit.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_sound() {
        super::Cli::command().debug_assert();
    }

    #[cfg(all(feature = "serve", feature = "agent", feature = "client"))]
    #[test]
    fn what_is_confirmed_and_whose_key_follows_can_be_said() {
        let reads = |line: &str| <super::Cli as clap::Parser>::try_parse_from(line.split(' ')).map(drop);
        let order = "quell order undo 6f1d364c-680c-499a-b30c-dd9265ad4c9d --comment c";
        for line in [
            order,
            &format!("{order} --confirm-spared-path"),
            "quell operator key",
            "quell operator key --move a",
            "quell operator key rotate --comment c",
            "quell operator key rotate --key a --to b --comment c",
            "quell operator key replace",
            "quell agent approve --operator-key 0f --comment c",
        ] {
            reads(line).unwrap();
        }
        for line in [
            "quell operator key --move a rotate",
            "quell operator key rotate --key a --comment c",
            "quell agent approve --operator-key 0f",
            "quell agent approve --operator-key 0f --all --comment c",
        ] {
            assert!(reads(line).is_err(), "{line}");
        }
    }
}
