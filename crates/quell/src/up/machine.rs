//! This machine's part: what of it is watched and guarded, and by whom.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use model::{MachineId, OrganizationId};

use crate::agent::places;
use crate::failure::Failure;

use super::child::Child;
use super::demo::Demo;
use super::ready::Wanted;

/// What is wanted of this machine.
pub(super) struct Plan {
    watched: Vec<PathBuf>,
    /// None of them was named: the demo.
    guarded: Option<Vec<PathBuf>>,
}

/// This machine's part.
pub(super) struct Machine {
    /// Why there is no agent.
    pub(super) lacking: Option<&'static str>,
    /// None of them means all local filesystems.
    pub(super) watched: Vec<PathBuf>,
    /// None of them means nowhere.
    pub(super) guarded: Vec<PathBuf>,
    /// The filesystem to try things on, if that is what is guarded.
    pub(super) demo: Option<Demo>,
}

impl Machine {
    /// Reads the flags, before anything is started.
    pub(super) fn plan(watch: &[PathBuf], guard: &[PathBuf]) -> Result<Plan, Failure> {
        let guarded = if guard.is_empty() { None } else { Some(places::guarded(guard)?) };
        Ok(Plan { watched: places::watched(watch)?, guarded })
    }

    /// What must work before anybody is told that it does.
    pub(super) fn wanted(&self) -> Wanted {
        let has_sample = |demo: &Demo| demo.sample().path.exists();
        match &self.demo {
            _ if self.lacking.is_some() => Wanted::Api,
            Some(demo) if has_sample(demo) => Wanted::Demo,
            _ => Wanted::Agent,
        }
    }

    /// The warden, not started yet, who starts guard and agent, with flags that nobody but this machine's owner sets;
    /// nobody where this process may not guard.
    pub(super) fn warden(
        &self,
        data_dir: &Path,
        machine: MachineId,
        organization: OrganizationId,
        local: Vec<OsString>,
    ) -> Option<Child> {
        if self.lacking.is_some() {
            return None;
        }
        let mut arguments: Vec<OsString> = vec!["agent".into(), "run".into()];
        arguments.extend(["--data-dir".into(), data_dir.into()]);
        arguments.extend(["--parent".into(), std::process::id().to_string().into()]);
        arguments.extend(local);
        arguments.extend(["--machine".into(), machine.to_string().into()]);
        arguments.extend(["--organization".into(), organization.to_string().into()]);
        arguments.extend(flags("--watch", &self.watched));
        match self.guarded.as_slice() {
            [] => arguments.extend(["--guard".into(), places::NONE.into()]),
            guarded => arguments.extend(flags("--guard", guarded)),
        }
        Some(Child::wanted("the warden", arguments))
    }
}

impl Plan {
    /// Mounts the demo if nothing else is to be guarded.
    pub(super) fn prepare(self, data_dir: &Path, organization: OrganizationId) -> Result<Machine, Failure> {
        let Self { watched, guarded } = self;
        if let Err(lacking) = sys::process::may_guard() {
            return Ok(Machine { lacking: Some(lacking), watched, guarded: Vec::new(), demo: None });
        }
        let (guarded, demo) = match guarded {
            Some(guarded) => (guarded, None),
            None => {
                let demo = Demo::mount(data_dir, organization)?;
                (vec![demo.path().to_owned()], Some(demo))
            }
        };
        Ok(Machine { lacking: None, watched, guarded, demo })
    }
}

fn flags<'a>(name: &'a str, paths: &'a [PathBuf]) -> impl Iterator<Item = OsString> + 'a {
    paths.iter().flat_map(move |path| [name.into(), path.clone().into()])
}
