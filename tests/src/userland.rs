//! A small system in a directory: a shell, short commands, a C compiler and what they are linked with. On a
//! filesystem of its own, whatever is executed in it lies on that filesystem, which is what an agent there is
//! asked about.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::command::run;
use crate::peers::REFUSED;

/// The commands that a shell is given, all of them dynamically linked.
pub const COMMANDS: [&str; 6] = ["true", "echo", "cat", "ls", "basename", "date"];

/// Directories that somebody mounts something over, or writes to.
const DIRECTORIES: [&str; 9] = [
    "bench",
    "dev",
    "etc/fapolicyd",
    "peer",
    "proc",
    "run",
    "tmp",
    "usr/share/fapolicyd",
    "var/lib/fapolicyd",
];

/// A directory that becomes the root of a filesystem.
#[derive(Debug)]
pub struct Userland {
    dir: tempfile::TempDir,
}

impl Userland {
    /// With the shell and the [`COMMANDS`], and a program that is to be refused.
    ///
    /// # Errors
    /// When one of them is not on this system.
    pub fn gather() -> anyhow::Result<Self> {
        let own = Self { dir: tempfile::tempdir()? };
        // Entered by others than root, too, as a system is.
        std::fs::set_permissions(own.root(), std::fs::Permissions::from_mode(0o755))?;
        for directory in DIRECTORIES {
            std::fs::create_dir_all(own.root().join(directory))?;
        }
        own.program(Path::new("/bin/sh"))?;
        for command in COMMANDS {
            own.program(&Path::new("/bin").join(command))?;
        }
        let mut refused = std::fs::read("/bin/true")?;
        refused.extend_from_slice(b"refused");
        own.put(REFUSED, &refused)?;
        own.executable(REFUSED)?;
        Ok(own)
    }

    /// Where it is gathered.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// A path in it, by its path as seen from inside.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.root().join(inside.trim_start_matches('/'))
    }

    /// A file with this content.
    ///
    /// # Errors
    /// Those of writing.
    pub fn put(&self, inside: &str, content: &[u8]) -> anyhow::Result<()> {
        std::fs::write(self.path(inside), content).with_context(|| format!("cannot write {inside}"))
    }

    fn executable(&self, inside: &str) -> anyhow::Result<()> {
        Ok(std::fs::set_permissions(self.path(inside), std::fs::Permissions::from_mode(0o755))?)
    }

    /// Compiles a C program to a statically linked file in it.
    ///
    /// # Errors
    /// What the compiler says.
    pub fn compile(&self, source: &str, flags: &[&str], inside: &str) -> anyhow::Result<()> {
        let file = tempfile::Builder::new().suffix(".c").tempfile()?;
        std::fs::write(file.path(), source)?;
        let mut command = Command::new("cc");
        command.args(flags).arg("-static").arg("-o").arg(self.path(inside)).arg(file.path());
        run(&mut command).map(drop)
    }

    /// A copy of one of this system's programs at its own path, with what it is linked with.
    ///
    /// # Errors
    /// When it is not there.
    pub fn program(&self, path: &Path) -> anyhow::Result<()> {
        self.copy(path)?;
        libraries(path, "").iter().try_for_each(|library| self.copy(library))
    }

    /// The C compiler with its parts, and the headers that `source` includes when it is optimized. Links nothing against libc.
    ///
    /// # Errors
    /// When it is no gcc, or a part is not where it says.
    pub fn compiler(&self, source: &str) -> anyhow::Result<()> {
        let compiler = which("cc")?;
        self.program(&compiler)?;
        let name = compiler.file_name().context("a compiler has a name")?;
        let link = self.path("/usr/bin/cc");
        if !link.exists() {
            std::fs::create_dir_all(self.path("/usr/bin"))?;
            std::os::unix::fs::symlink(Path::new("/usr/bin").join(name), link)?;
        }
        for part in ["cc1", "collect2", "as", "ld"] {
            let said = run(Command::new("cc").arg(format!("-print-prog-name={part}")))?;
            // Found beside the compiler, or on the path.
            let path = Path::new(said.trim());
            let real = if path.is_absolute() { path.canonicalize()? } else { which(part)? };
            self.program(&real)?;
            let named = if path.is_absolute() { path.to_owned() } else { Path::new("/usr/bin").join(part) };
            self.alias(&real, &named)?;
        }
        let plugin = run(Command::new("cc").arg("-print-file-name=liblto_plugin.so"))?;
        self.program(Path::new(plugin.trim()))?;
        let file = tempfile::Builder::new().suffix(".c").tempfile()?;
        std::fs::write(file.path(), source)?;
        let rule = run(Command::new("cc").args(["-O1", "-M"]).arg(file.path()))?;
        let headers = rule.split_ascii_whitespace().filter(|word| word.ends_with(".h"));
        headers.map(Path::new).try_for_each(|header| self.copy(header))
    }

    /// The file at `real`, at `named` as well.
    fn alias(&self, real: &Path, named: &Path) -> anyhow::Result<()> {
        let (real, named) = (self.path(&real.to_string_lossy()), self.path(&named.to_string_lossy()));
        if real != named && !named.exists() {
            std::fs::create_dir_all(named.parent().context("a path of a file")?)?;
            std::fs::copy(real, named)?;
        }
        Ok(())
    }

    fn copy(&self, path: &Path) -> anyhow::Result<()> {
        let into = self.path(&path.to_string_lossy());
        if into.exists() {
            return Ok(());
        }
        std::fs::create_dir_all(into.parent().context("a path of a file")?)?;
        std::fs::copy(path, into).with_context(|| format!("cannot copy {}", path.display()))?;
        Ok(())
    }
}

/// What a program is linked with, as the loader finds it when it looks through `library_path` first.
pub(crate) fn libraries(program: &Path, library_path: &str) -> Vec<PathBuf> {
    let listed = Command::new("ldd").arg(program).env("LD_LIBRARY_PATH", library_path).output();
    let listed = listed.map(|output| output.stdout).unwrap_or_default();
    let listed = String::from_utf8_lossy(&listed);
    let paths = listed.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    paths.map(PathBuf::from).collect()
}

/// The real path of a program.
fn which(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file());
    Ok(found.with_context(|| format!("this system has no {name}"))?.canonicalize()?)
}
