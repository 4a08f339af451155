//! The numbers of the brake, as flags.

use std::ffi::OsString;

use agent::brake::Limits;

/// How much an hour goes on without approval. Only who starts the agent says so, never the server.
#[derive(Clone, clap::Args)]
pub(crate) struct Brake {
    /// So many files that run widely here may be denied an hour; more wait for `quell agent approve`. 0: any number
    #[arg(long, value_name = "N", default_value_t = Limits::DEFAULT.denials, env = "QUELL_BRAKE_DENIALS")]
    brake_denials: u32,
    /// So many quarantines may begin here an hour; more wait for `quell agent approve`. 0: any number
    #[arg(long, value_name = "N", default_value_t = Limits::DEFAULT.quarantines,
          env = "QUELL_BRAKE_QUARANTINES", value_parser = clap::value_parser!(u32).range(..=500))]
    brake_quarantines: u32,
}

impl Brake {
    pub(super) fn limits(&self) -> Limits {
        Limits { denials: self.brake_denials, quarantines: self.brake_quarantines }
    }

    /// As flags for another verb.
    pub(crate) fn flags(&self) -> [OsString; 4] {
        let Self { brake_denials, brake_quarantines } = self;
        [
            "--brake-denials".into(),
            brake_denials.to_string().into(),
            "--brake-quarantines".into(),
            brake_quarantines.to_string().into(),
        ]
    }
}
