//! Where everything of one machine is kept; the same place for every role.

use std::path::PathBuf;

/// Which directory a command works on.
#[cfg(any(feature = "agent", feature = "client"))]
#[derive(clap::Args)]
pub(crate) struct DataDir {
    /// Where everything is kept [default: /var/lib/quell as root, else $XDG_STATE_HOME/quell]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[cfg(any(feature = "agent", feature = "client"))]
impl DataDir {
    /// The one given, or the default.
    pub(crate) fn path(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(default)
    }
}

#[cfg(all(test, feature = "client"))]
impl DataDir {
    /// This one.
    pub(crate) fn at(path: &std::path::Path) -> Self {
        Self { data_dir: Some(path.to_owned()) }
    }
}

/// The directory used when nobody names one.
pub(crate) fn default() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return "/var/lib/quell".into();
    }
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    state.unwrap_or_else(std::env::temp_dir).join("quell")
}
