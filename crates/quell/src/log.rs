//! What the parts of the program tell of themselves, on stderr.

use std::io::{self, IoSlice, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ReadWriteFlags};
use tracing_subscriber::EnvFilter;

/// Begins to tell what `QUELL_LOG` asks for (`info`, `agent=debug,server=info`, …); warnings if it is not set.
pub(crate) fn begin() {
    let filter = EnvFilter::builder()
        .with_default_directive(tracing_subscriber::filter::LevelFilter::WARN.into())
        .with_env_var("QUELL_LOG")
        .from_env_lossy();
    let colours = io::IsTerminal::is_terminal(&io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Hasty).with_ansi(colours).init();
}

/// Stderr, written to without waiting for whoever reads it: it may be a program that waits for us. What finds no
/// room is lost, and said to be when there is room again.
struct Hasty;

/// Writes that found no room since the last that did.
static LOST: AtomicU64 = AtomicU64::new(0);

impl Write for Hasty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let lost = LOST.swap(0, Ordering::Relaxed);
        if lost > 0 && write_at_once(format!("{lost} lines of the log were lost\n").as_bytes()).is_err() {
            LOST.fetch_add(lost, Ordering::Relaxed);
        }
        Ok(write_at_once(bytes).unwrap_or_else(|_| {
            LOST.fetch_add(1, Ordering::Relaxed);
            bytes.len()
        }))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_at_once(bytes: &[u8]) -> Result<usize, Errno> {
    let stderr = io::stderr();
    // No offset: where the file stands.
    match rustix::io::pwritev2(&stderr, &[IoSlice::new(bytes)], u64::MAX, ReadWriteFlags::NOWAIT) {
        Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => {
            let mut room = [PollFd::new(&stderr, PollFlags::OUT)];
            match poll(&mut room, Some(&Timespec::default())) {
                Ok(1) => rustix::io::write(&stderr, bytes),
                _ => Err(Errno::AGAIN),
            }
        }
        outcome => outcome,
    }
}
