//! How far the first sweep is, until it is complete.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use agent::local::{self, Reply, Request, Status};

use crate::escape::printable;
use crate::say;

/// On a terminal one line is redrawn; elsewhere a line now and then is enough.
const REDRAW: Duration = Duration::from_millis(250);
const REPEAT: Duration = Duration::from_secs(30);
/// Room for the number of files and the directory, on the narrowest terminal.
const WIDTH: usize = 79;

/// Tells it on stderr, beside whatever else goes on.
pub(super) fn tell(data_dir: &Path) {
    let data_dir = data_dir.to_owned();
    thread::spawn(move || {
        let terminal = std::io::stderr().is_terminal();
        let mut told = Instant::now();
        loop {
            if let Ok(Reply::Status(status)) = local::ask(&data_dir, Request::Status) {
                if status.first_sweep_complete {
                    return say::aside(format!("{}{}", wipe(terminal), complete(&status)));
                }
                if terminal {
                    let mut stderr = std::io::stderr();
                    let _ =
                        write!(stderr, "{}{}", wipe(true), under_way(&status)).and_then(|()| stderr.flush());
                } else if told.elapsed() >= REPEAT {
                    told = Instant::now();
                    say::aside(under_way(&status));
                }
            }
            thread::sleep(REDRAW);
        }
    });
}

/// Back to the beginning of the line, and clear it.
fn wipe(terminal: bool) -> &'static str {
    if terminal { "\r\x1b[K" } else { "" }
}

fn complete(status: &Status) -> String {
    format!("first sweep complete: {} files known", status.files_known)
}

fn under_way(status: &Status) -> String {
    let at = status.sweeping.as_deref().map_or_else(String::new, |path| format!(", in {}", path.display()));
    let line = format!("first sweep: {} files seen, {} known{at}", status.sweep_seen, status.files_known);
    printable(&line).chars().take(WIDTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_a_line() {
        let sweeping = Some(format!("/usr/\n{}", "x".repeat(200)).into());
        let line = under_way(&Status { sweep_seen: 7, files_known: 5, sweeping, ..Status::default() });
        assert!(line.starts_with("first sweep: 7 files seen, 5 known, in /usr/\\n"), "{line}");
        assert_eq!(line.chars().count(), WIDTH);
    }
}
