//! Which server is meant, and as whom to speak to it.

use std::env;
use std::io;
use std::path::{Path, PathBuf};

use crate::data_dir;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::profile::{self, Profile};

use super::Api;

/// Which server is meant, and in which form to answer.
#[derive(clap::Args)]
pub(crate) struct Connection {
    /// A ready file of `quell up`; else QUELL_URL, QUELL_TOKEN_URL, QUELL_CLIENT_ID and QUELL_CLIENT_SECRET;
    /// else what the last `quell up` left in the default data directory
    #[arg(long, value_name = "FILE", env = "QUELL_PROFILE", global = true)]
    profile: Option<PathBuf>,
    /// In which form to answer
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM", global = true)]
    output: Format,
}

/// Where the API is, and as whom to call it. Holds a secret, so it has no `Debug`.
pub(crate) struct Access {
    pub(super) base_url: String,
    pub(super) token_url: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
}

impl Connection {
    /// The API, ready to be called.
    pub(crate) fn api(&self) -> Result<Api, Failure> {
        Ok(Api::new(self.access(|name| env::var(name).ok())?))
    }

    /// In which form to answer.
    pub(crate) fn format(&self) -> Format {
        self.output
    }

    fn access(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Access, Failure> {
        if let Some(path) = &self.profile {
            return read(path).map_err(|error| {
                Failure::usage(format!("cannot read the profile {}: {error}", path.display()))
                    .hint("name the ready file of a running `quell up` with --profile or QUELL_PROFILE")
            });
        }
        if let Some(access) = of_variables(variable)? {
            return Ok(access);
        }
        let path = data_dir::default().join(profile::NAME);
        read(&path).map_err(|error| {
            let message = match error.kind() {
                io::ErrorKind::NotFound => "no server is known here".to_owned(),
                _ => format!("cannot read {}: {error}", path.display()),
            };
            Failure::new(Exit::NotPermitted, message).hint(
                "start one with `quell up`, name a ready file with --profile FILE, or set QUELL_URL, \
                 QUELL_TOKEN_URL, QUELL_CLIENT_ID and QUELL_CLIENT_SECRET",
            )
        })
    }
}

fn read(path: &Path) -> io::Result<Access> {
    Profile::read(path).map(|profile| Access {
        base_url: profile.base_url,
        token_url: profile.token_url,
        client_id: profile.client_id,
        client_secret: profile.client_secret,
    })
}

/// From the environment; none if not one of its variables is set.
fn of_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Access>, Failure> {
    const NAMES: [&str; 4] = ["QUELL_URL", "QUELL_TOKEN_URL", "QUELL_CLIENT_ID", "QUELL_CLIENT_SECRET"];
    let values = NAMES.map(|name| variable(name).filter(|value| !value.is_empty()));
    if values.iter().all(Option::is_none) {
        return Ok(None);
    }
    let missing: Vec<&str> =
        NAMES.into_iter().zip(&values).filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
    let [Some(base_url), Some(token_url), Some(client_id), Some(client_secret)] = values else {
        return Err(Failure::usage(format!(
            "the environment names a server, but {} is not set",
            missing.join(", ")
        ))
        .hint("set it, or unset all four and use --profile FILE"));
    };
    Ok(Some(Access { base_url, token_url, client_id, client_secret }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: [(&str, &str); 4] = [
        ("QUELL_URL", "http://h"),
        ("QUELL_TOKEN_URL", "http://h/token"),
        ("QUELL_CLIENT_ID", "id"),
        ("QUELL_CLIENT_SECRET", "secret"),
    ];

    fn among<'a>(set: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_environment_names_a_server_only_as_a_whole() {
        let access = of_variables(among(&SET)).unwrap().unwrap();
        assert_eq!((access.base_url.as_str(), access.client_secret.as_str()), ("http://h", "secret"));
        assert!(of_variables(among(&[])).unwrap().is_none());
        assert!(of_variables(among(&[("QUELL_URL", "")])).unwrap().is_none());
        let failure = of_variables(among(&SET[..3])).err().unwrap();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.to_string().contains("QUELL_CLIENT_SECRET"), "{failure}");
    }

    #[test]
    fn a_profile_that_is_named_wins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ready.json");
        std::fs::write(&path, r#"{"baseUrl":"http://p","tokenUrl":"t","clientId":"c","clientSecret":"s"}"#)
            .unwrap();
        let connection = Connection { profile: Some(path), output: Format::Table };
        assert_eq!(connection.access(among(&SET)).ok().unwrap().base_url, "http://p");
        let missing = Connection { profile: Some(dir.path().join("none")), output: Format::Table };
        assert_eq!(missing.access(among(&SET)).err().unwrap().exit, Exit::Usage);
    }
}
