//! Why something is asked for. Every change carries it.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::failure::Failure;

/// Why something is asked for.
#[derive(clap::Args)]
pub(crate) struct Comment {
    /// Why; kept with the order. Asked for on a terminal
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

impl Comment {
    /// The words given, or asked for.
    pub(crate) fn words(self) -> Result<String, Failure> {
        let words = match self.comment {
            Some(words) => words,
            None if io::stdin().is_terminal() && io::stderr().is_terminal() => ask(),
            None => String::new(),
        };
        match words.trim() {
            "" => Err(Failure::usage("a comment is required").hint("say why: --comment TEXT")),
            words => Ok(words.to_owned()),
        }
    }
}

fn ask() -> String {
    let mut terminal = io::stderr();
    let mut words = String::new();
    let _ = write!(terminal, "Comment (why?): ").and_then(|()| terminal.flush());
    // What cannot be read is no comment.
    let _ = io::stdin().lock().read_line(&mut words);
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn blanks_are_no_comment() {
        let words = |text: &str| Comment { comment: Some(text.into()) }.words();
        assert_eq!(words(" alert 7 ").unwrap(), "alert 7");
        assert_eq!(words(" \t").unwrap_err().exit, Exit::Usage);
    }
}
