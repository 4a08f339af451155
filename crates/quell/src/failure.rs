//! Why a command did not do what was asked, and what to do next.

use std::fmt;
use std::time::Duration;

use serde_json::json;

use crate::escape::printable;
use crate::exit::Exit;
use crate::output::Format;
use crate::say;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The number it ends with.
    pub(crate) exit: Exit,
    /// A word for programs: the API's where it comes from there.
    code: String,
    message: String,
    /// The id under which the call stands in the server's log.
    target: Option<String>,
    hint: Option<String>,
    /// The same call may succeed after so long.
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        let code = format!("{exit:?}");
        Self { exit, code, message: message.into(), target: None, hint: None, retry_after: None }
    }

    /// A wrong command line that clap could not see.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// With what to do next.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Whether that is the word for it.
    #[cfg(feature = "client")]
    pub(crate) fn has_code(&self, code: &str) -> bool {
        self.code == code
    }

    /// What happened, as others have said it.
    #[cfg(feature = "client")]
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// With the API's word for it.
    #[cfg(feature = "client")]
    pub(crate) fn code(self, code: impl Into<String>) -> Self {
        Self { code: code.into(), ..self }
    }

    /// With the id under which it stands in the server's log.
    #[cfg(feature = "client")]
    pub(crate) fn target(self, target: Option<&str>) -> Self {
        Self { target: target.map(str::to_owned), ..self }
    }

    /// With when to try again; a second, if the server did not say or says at once.
    #[cfg(feature = "client")]
    pub(crate) fn retry_after(self, seconds: Option<u64>) -> Self {
        Self { retry_after: Some(Duration::from_secs(seconds.unwrap_or(1).max(1))), ..self }
    }

    /// Says it on stderr; stdout stays clean.
    pub(crate) fn tell(&self, format: Format) {
        match format {
            Format::Table => say::aside(self),
            Format::Json => say::aside(json!({ "error": {
                "code": self.code, "message": self.message, "target": self.target, "hint": self.hint,
                "retryAfter": self.retry_after.map(|pause| pause.as_secs()),
            }})),
        }
    }
}

/// For people: what happened, and what to do next.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", printable(&self.message))?;
        match &self.hint {
            Some(hint) => write!(f, "\n next: {}", printable(hint)),
            None => Ok(()),
        }
    }
}

/// What a library says of its failure is the message.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Failed, format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_and_the_hint_cannot_move_the_cursor() {
        let failure = Failure::new(Exit::NotFound, "no file \x1b[2J").hint("look\rhere");
        assert_eq!(failure.to_string(), "error: no file \\u{1b}[2J\n next: look\\rhere");
    }

    #[test]
    fn causes_are_told() {
        let error = anyhow::anyhow!("disk full").context("cannot write");
        assert_eq!(Failure::from(error).to_string(), "error: cannot write: disk full");
    }
}
