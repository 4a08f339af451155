//! `quell list`: lists of digests that judge files.

use std::path::PathBuf;

use clap::Subcommand;
use model::determination::DeterminationType;

use crate::client::Connection;
use crate::client::comment::Comment;
use crate::failure::Failure;

mod import;
mod show;

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
    /// Import a list: it takes the place of the one that has its name, at its end and as a whole
    Import {
        /// The list; - is standard input
        #[arg(value_name = "FILE|-")]
        from: PathBuf,
        /// Its name, by which it is replaced and removed
        #[arg(long, value_name = "NAME", value_parser = name)]
        name: String,
        /// What a file on it is: clean, pua, malware
        #[arg(long = "as", value_name = "TYPE", value_parser = kind)]
        kind: DeterminationType,
        /// The threat's name, for all of them
        #[arg(long, value_name = "NAME")]
        value: Option<String>,
        /// In which form it comes [default: what it looks like]
        #[arg(long = "format", value_name = "FORM", value_parser = ["plain", "csv", "nsrl", "json", "misp"])]
        form: Option<String>,
        #[command(flatten)]
        comment: Comment,
    },
    /// The lists there are
    List,
    /// What a list says, and how much of it there is
    Show {
        /// Its name
        #[arg(value_name = "NAME", value_parser = name)]
        name: String,
    },
    /// Nothing is judged by it any more
    Remove {
        /// Its name
        #[arg(value_name = "NAME", value_parser = name)]
        name: String,
        #[command(flatten)]
        comment: Comment,
    },
}

/// A list's name, as the server takes it.
fn name(text: &str) -> Result<String, String> {
    let ordinary = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    if text.is_empty()
        || text.len() > 64
        || !text.bytes().all(ordinary)
        || text.bytes().all(|byte| byte == b'.')
    {
        return Err("at most 64 small letters, digits, dots, hyphens and underscores".to_owned());
    }
    Ok(text.to_owned())
}

/// What files on a list can be.
fn kind(word: &str) -> Result<DeterminationType, String> {
    DeterminationType::from_word(word)
        .filter(|kind| *kind != DeterminationType::Unknown)
        .ok_or_else(|| "there are clean, pua and malware".to_owned())
}

/// Does what the verb says.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let format = args.connection.format();
    let api = args.connection.api()?;
    match args.verb {
        Verb::Import { from, name, kind, value, form, comment } => {
            let list = import::List { name, kind, value, form, comment: comment.words()? };
            import::run(&api, format, &from, &list)
        }
        Verb::List => show::all(&api, format),
        Verb::Show { name } => show::one(&api, format, &name),
        Verb::Remove { name, comment } => show::remove(&api, &name, &comment.words()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_something_of_its_files() {
        assert_eq!(kind("Malware"), Ok(DeterminationType::Malware));
        assert!(kind("unknown").is_err() && kind("evil").is_err());
    }

    #[test]
    fn names_are_those_that_the_server_takes() {
        for good in ["feed", "nsrl-2024.1", "a_b"] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        for bad in ["", "Feed", "a b", "a/b", "..", &"x".repeat(65)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
