//! `quell token`: a bearer token, for calls of your own.

use crate::client::Connection;
use crate::failure::Failure;
use crate::output::Format;
use crate::say;

/// What the role is told.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Prints the token alone, or the whole answer of the token endpoint.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let api = args.connection.api()?;
    match args.connection.format() {
        Format::Table => say::out(api.token()?),
        Format::Json => say::out(api.sign_in()?.body),
    }
    Ok(())
}
