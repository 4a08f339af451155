//! In which form a command answers.

/// In which form a command answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs; of `show` and `list`, the API's body as it came.
    Json,
}
