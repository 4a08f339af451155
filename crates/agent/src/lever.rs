//! The lever: root says, in a file on the root filesystem or on the kernel's command line, that nothing is to
//! be denied on this machine. It holds over restarts and reboots until it is let go.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use model::Clock;
use rustix::fs::{AtFlags, Mode, OFlags};

use crate::clock::SystemClock;

/// Where the file is.
pub const FILE: &str = "/etc/quell/released";
/// Where the kernel's command line is.
pub const COMMAND_LINE: &str = "/proc/cmdline";
/// The word on it.
const WORD: &str = "quell.release";
/// Nobody has more to say.
const LONGEST: u64 = 4096;

/// The two places where the lever is.
#[derive(Clone, Debug)]
pub struct Lever {
    /// It is pulled as long as this is there, whatever it holds.
    pub file: PathBuf,
    /// It is pulled as long as this holds the word.
    pub command_line: PathBuf,
}

/// Why nothing is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// The word stands on the kernel's command line.
    ByKernel,
    /// The file is there. What it says of who, when and why may be empty.
    ByRoot {
        /// Who did it.
        who: String,
        /// When, as text.
        when: String,
        /// Why.
        comment: String,
    },
}

impl Default for Lever {
    fn default() -> Self {
        Self { file: FILE.into(), command_line: COMMAND_LINE.into() }
    }
}

impl Lever {
    /// Whether it is pulled, and by whom. A file that can't be read or understood counts: whoever made it wanted
    /// the machine to be let go.
    pub fn pulled(&self) -> Option<Pulled> {
        if self.holds_word() {
            return Some(Pulled::ByKernel);
        }
        match fs::symlink_metadata(&self.file) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                None
            }
            _ => Some(self.read()),
        }
    }

    /// Whether the word stands on the kernel's command line.
    pub fn holds_word(&self) -> bool {
        fs::read_to_string(&self.command_line).is_ok_and(|line| says_so(&line))
    }

    /// Pulls it: durable when this returns. Again is fine, and the last comment counts.
    ///
    /// # Errors
    /// When the directory is not root's alone, or the file can't be made.
    pub fn pull(&self, who: &str, comment: &str) -> anyhow::Result<()> {
        let dir = self.directory(true)?;
        let text = format!("who: {}\nwhen: {}\ncomment: {}\n", line(who), now(), line(comment));
        let name = self.file.file_name().unwrap_or_default();
        let beside = format!(".released.{}", std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let written = (|| {
            let mut file = File::from(rustix::fs::openat(&dir, &beside, flags, Mode::from_raw_mode(0o644))?);
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            rustix::fs::renameat(&dir, &beside, &dir, name)?;
            io::Result::Ok(())
        })();
        if let Err(error) = written {
            let _ = rustix::fs::unlinkat(&dir, &beside, AtFlags::empty());
            // On a full disk a name may still have room.
            let bare = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(&dir, name, bare, Mode::from_raw_mode(0o644)).map_err(|_| error)?;
        }
        dir.sync_all()?;
        Ok(())
    }

    /// Lets it go, as far as the file does: durable when this returns.
    ///
    /// # Errors
    /// Those of removing the file.
    pub fn let_go(&self) -> anyhow::Result<()> {
        if !self.file.parent().is_some_and(Path::exists) {
            return Ok(());
        }
        let dir = self.directory(false)?;
        match rustix::fs::unlinkat(&dir, self.file.file_name().unwrap_or_default(), AtFlags::empty()) {
            Ok(()) => Ok(dir.sync_all()?),
            Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The directory, opened: nobody but root may put names in it.
    fn directory(&self, make: bool) -> anyhow::Result<File> {
        let path = self.file.parent().unwrap_or(Path::new("/"));
        if make && !path.exists() {
            std::os::unix::fs::DirBuilderExt::mode(&mut fs::DirBuilder::new(), 0o755).create(path)?;
            if let Some(parent) = path.parent() {
                File::open(parent)?.sync_all()?;
            }
        }
        let dir = fs::OpenOptions::new()
            .read(true)
            .custom_flags((OFlags::DIRECTORY | OFlags::NOFOLLOW).bits().cast_signed())
            .open(path)?;
        let found = dir.metadata()?;
        anyhow::ensure!(
            found.uid() == 0 && found.mode() & 0o022 == 0,
            "{} must be root's and closed to writing by others",
            path.display()
        );
        Ok(dir)
    }

    fn read(&self) -> Pulled {
        let text = read_no_links(&self.file).unwrap_or_default();
        let field = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            found.unwrap_or_default().to_owned()
        };
        Pulled::ByRoot { who: field("who"), when: field("when"), comment: field("comment") }
    }
}

impl std::fmt::Display for Pulled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ByKernel => write!(f, "released by {WORD} on the kernel's command line"),
            Self::ByRoot { who, when, comment } => {
                let or = |text: &'_ str, other: &'_ str| {
                    if text.is_empty() { other.to_owned() } else { text.to_owned() }
                };
                write!(f, "released by {} at {}", or(who, "somebody"), or(when, "some time"))?;
                if comment.is_empty() { Ok(()) } else { write!(f, ": {comment}") }
            }
        }
    }
}

fn says_so(line: &str) -> bool {
    line.split_ascii_whitespace().any(|word| match word.strip_prefix(WORD) {
        Some("") => true,
        Some(value) => value.starts_with('=') && value != "=0",
        None => false,
    })
}

fn read_no_links(path: &Path) -> io::Result<String> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len().min(LONGEST)).unwrap_or_default()];
    let length = rustix::io::pread(file.as_fd(), &mut bytes, 0)?;
    bytes.truncate(length);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.chars().take(500).collect()
}

fn now() -> String {
    wire::rest::Stamp(SystemClock.now()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lever(dir: &Path, line: &str) -> Lever {
        let command_line = dir.join("cmdline");
        fs::write(&command_line, line).unwrap();
        Lever { file: dir.join("etc/released"), command_line }
    }

    fn is_root() -> bool {
        fs::metadata("/proc/self").unwrap().uid() == 0
    }

    #[test]
    fn the_word_counts_as_a_word() {
        for (line, says) in [
            ("quiet quell.release ro\n", true),
            ("quell.release=1", true),
            ("quell.release=0", false),
            ("quell.released", false),
            ("x-quell.release", false),
            ("", false),
        ] {
            assert_eq!(says_so(line), says, "{line}");
        }
    }

    #[test]
    fn pulled_until_let_go_and_the_last_comment_counts() {
        if !is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let lever = lever(dir.path(), "quiet");
        assert_eq!(lever.pulled(), None);
        lever.let_go().unwrap();
        lever.pull("root", "first").unwrap();
        lever.pull("root\nwhen: never", "login is\nslow").unwrap();
        let Some(Pulled::ByRoot { who, when, comment }) = lever.pulled() else { panic!("by root") };
        assert_eq!((who.as_str(), comment.as_str()), ("root when: never", "login is slow"));
        assert!(when.starts_with("20") && when.ends_with('Z'), "{when}");
        assert!(lever.pulled().unwrap().to_string().ends_with(": login is slow"));
        assert_eq!(fs::read_dir(dir.path().join("etc")).unwrap().count(), 1);
        lever.let_go().unwrap();
        assert_eq!(lever.pulled(), None);
    }

    #[test]
    fn whatever_is_there_counts() {
        let dir = tempfile::tempdir().unwrap();
        let lever = lever(dir.path(), "");
        fs::create_dir(dir.path().join("etc")).unwrap();
        let nameless = "released by somebody at some time";
        for make in [
            |path: &Path| fs::write(path, ""),
            |path: &Path| fs::write(path, [0xff; 9000]),
            |path: &Path| fs::create_dir(path),
            |path: &Path| std::os::unix::fs::symlink("/no/such", path),
        ] {
            make(&lever.file).unwrap();
            assert_eq!(lever.pulled().unwrap().to_string(), nameless);
            fs::remove_file(&lever.file).or_else(|_| fs::remove_dir(&lever.file)).unwrap();
            assert_eq!(lever.pulled(), None);
        }
    }

    #[test]
    fn the_kernels_word_holds_whatever_the_file_says() {
        let dir = tempfile::tempdir().unwrap();
        let lever = lever(dir.path(), "ro quell.release");
        assert_eq!(lever.pulled(), Some(Pulled::ByKernel));
        lever.let_go().unwrap();
        assert_eq!(lever.pulled(), Some(Pulled::ByKernel));
    }

    #[test]
    fn a_directory_of_others_is_not_written_to() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let lever = lever(dir.path(), "");
        let etc = dir.path().join("etc");
        fs::create_dir(&etc).unwrap();
        fs::set_permissions(&etc, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(lever.pull("root", "x").is_err());
        fs::remove_dir(&etc).unwrap();
        std::os::unix::fs::symlink("/tmp", &etc).unwrap();
        assert!(lever.pull("root", "x").is_err());
        assert_eq!(lever.pulled(), None);
    }
}
