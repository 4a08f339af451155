//! The few lines that a new user reads.

use std::fmt::Write;
use std::path::Path;

use crate::escape::printable;
use crate::profile::{self, Profile};
use crate::say;

use super::machine::Machine;

/// Says where the API is, what is watched and guarded, and what to try; and what does not work yet.
pub(super) fn greet(profile: &Profile, machine: &Machine, lacking: Option<&str>) {
    say::out(text(profile, machine));
    if let Some(lacking) = lacking {
        say::aside(format!("not all of it works yet: {}", printable(lacking)));
    }
}

/// The last words.
pub(super) fn leave(machine: &Machine) {
    say::aside(match machine.guarded.is_empty() {
        true => "stopping",
        false => "stopping: enforcement ends",
    });
}

fn text(profile: &Profile, machine: &Machine) -> String {
    let mut text = format!("Quell {} is up.\n\n", env!("CARGO_PKG_VERSION"));
    let mut fact = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<9} {}", printable(value));
    };
    fact("API", &profile.base_url);
    fact("machine", &profile.machine_id);
    fact("data", &profile.data_dir.to_string_lossy());
    match machine.lacking {
        Some(lacking) => {
            fact("agent", &format!("does not run: nothing is watched or denied, as {lacking}"));
            let own = quoted(Path::new(&std::env::args().next().unwrap_or_default()));
            fact("", &format!("to give it the right: sudo {own} up (root's data is in /var/lib/quell)"));
        }
        None => {
            fact("watched", &names(&machine.watched, "all local filesystems"));
            fact("guarded", &names(&machine.guarded, "nothing: no act can be done on this machine"));
        }
    }
    text.push('\n');
    text.push_str(&tries(profile, machine));
    text.push_str("\nCtrl-C stops everything, and enforcement ends.");
    text
}

/// Commands that can be pasted as they stand.
fn tries(profile: &Profile, machine: &Machine) -> String {
    let Profile { base_url, token_url, client_id, machine_id, data_dir, .. } = profile;
    let secrets = quoted(&data_dir.join(profile::NAME));
    let token = format!(
        "TOKEN=$(curl -s {token_url} -d grant_type=client_credentials -d client_id={client_id} \\\n    \
         -d scope={base_url}/.default \\\n    \
         -d client_secret=\"$(sed -n 's/.*\"clientSecret\": \"\\(.*\\)\".*/\\1/p' {secrets})\" |\n    \
         sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')"
    );
    let sample = machine.demo.as_ref().map(super::demo::Demo::sample);
    let (title, sha1) = match sample.and_then(|sample| Some((sample, sample.digests?))) {
        Some((sample, digests)) => {
            let rests = if sample.quarantined { ", now in the vault (quell agent vault list)" } else { "" };
            let path = sample.path.to_string_lossy();
            let title = format!(
                "Look a harmless sample up, block it, stop and quarantine it ({}{rests}):",
                printable(&path)
            );
            (title, digests.sha1.to_string())
        }
        None => {
            let title =
                "Look a file up, block it, stop and quarantine it (put its path for FILE):".to_owned();
            (title, "$(sha1sum FILE | cut -c-40)".to_owned())
        }
    };
    let call = "curl -s -H \"Authorization: Bearer $TOKEN\"";
    format!(
        "Get a token, good for an hour (or: TOKEN=$(quell token --profile {secrets})):\n\n{token}\n\n{title}\n\n\
         {call} {base_url}/api/files/{sha1}\n\
         {call} {base_url}/api/files/{sha1}/block \\\n    -d '{{\"Comment\":\"trying Quell\"}}'\n\
         {call} {base_url}/api/machines/{machine_id}/StopAndQuarantineFile \\\n    \
         -d \"{{\\\"Comment\\\":\\\"trying Quell\\\",\\\"Sha1\\\":\\\"{sha1}\\\"}}\"\n"
    )
}

fn names(paths: &[std::path::PathBuf], none: &str) -> String {
    match paths {
        [] => none.to_owned(),
        paths => paths.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>().join(", "),
    }
}

/// As a shell reads it back.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:=,@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::super::ready_file::tests::profile;
    use super::*;

    fn machine(lacking: Option<&'static str>) -> Machine {
        Machine { lacking, watched: Vec::new(), guarded: vec!["/mnt/x".into()], demo: None }
    }

    #[test]
    fn the_secret_is_not_shown() {
        let profile = Profile { client_secret: "hush-hush".into(), ..profile() };
        let text = text(&profile, &machine(None));
        assert!(!text.contains("hush-hush"));
        assert!(text.contains("sed -n") && text.contains("/var/lib/quell/profile.json"), "{text}");
        assert!(text.lines().filter(|line| line.starts_with("curl")).count() == 3, "{text}");
    }

    #[test]
    fn without_the_right_one_line_says_how_to_give_it() {
        let text = text(&profile(), &machine(Some("CAP_SYS_ADMIN is not effective")));
        assert!(text.contains("CAP_SYS_ADMIN") && text.contains("sudo "), "{text}");
    }

    #[test]
    fn a_shell_reads_paths_back() {
        assert_eq!(quoted(Path::new("/var/lib/quell")), "/var/lib/quell");
        assert_eq!(quoted(Path::new("/a b")), "'/a b'");
        assert_eq!(quoted(Path::new("it's")), "'it'\\''s'");
    }
}
