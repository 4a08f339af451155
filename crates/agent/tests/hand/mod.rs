//! A process that changes files and runs them in each way that the kernel has (`hand.h`), and what it runs.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hand");
/// Where built programs are kept and looked for, for machines without a compiler.
const KEPT: &str = "QUELL_TEST_PROGRAMS";
/// What stands before the byte that tells payloads apart.
const VERSION: &[u8] = b"quell payload: this is version ";
/// Direct writes and loop devices want whole pages.
const PAGE: usize = 4096;

/// Program, arguments of the compiler.
const PROGRAMS: [(&str, &str); 5] = [
    ("hand", "-O1 -o OUT hand.c change.c kernel_io.c race.c run.c"),
    (
        "payload",
        "-O1 -fPIE -static-pie -nostdlib -ffreestanding -fno-stack-protector -s -Wl,-z,noseparate-code \
         -Wl,--build-id=none -o OUT payload.c",
    ),
    ("program", "-O1 -s -o OUT program.c"),
    ("library", "-O1 -s -DLIBRARY -shared -fPIC -o OUT program.c"),
    ("host", "-O1 -o OUT host.c -ldl"),
];

/// The programs, compiled.
pub(crate) struct Tools {
    dir: PathBuf,
    _dir: Option<tempfile::TempDir>,
}

impl Tools {
    /// `None`, and a line that says so, where there is no C compiler.
    pub(crate) fn build() -> Option<Self> {
        let kept = std::env::var_os(KEPT).map(PathBuf::from);
        let own = kept.is_none().then(|| tempfile::tempdir().unwrap());
        let dir = kept.unwrap_or_else(|| own.as_ref().unwrap().path().to_owned());
        for (name, arguments) in PROGRAMS {
            let program = dir.join(name);
            if program.is_file() {
                continue;
            }
            let out = program.to_str().unwrap();
            let words = arguments.split_whitespace().map(|word| if word == "OUT" { out } else { word });
            match Command::new("cc").args(words).current_dir(SOURCES).stdin(Stdio::null()).status() {
                Ok(status) if status.success() => {}
                outcome => {
                    println!("not run: no C compiler here: {outcome:?}");
                    return None;
                }
            }
        }
        Some(Self { dir, _dir: own })
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The bytes of `payload`, `program` or `library` that end with status `version`: whole pages, `pages` of them
    /// more than are needed.
    pub(crate) fn payload(&self, name: &str, version: u8, pages: usize) -> Vec<u8> {
        let mut bytes = fs::read(self.program(name)).unwrap();
        let at = version_in(&bytes);
        bytes[at] = version;
        bytes.resize(bytes.len().next_multiple_of(PAGE) + pages * PAGE, 0);
        bytes
    }
}

/// Where the byte is that tells payloads apart.
pub(crate) fn version_in(bytes: &[u8]) -> usize {
    let at = bytes.windows(VERSION.len()).position(|window| window == VERSION);
    at.expect("a payload") + VERSION.len()
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Became {
    /// The change is made.
    Done,
    /// It ran, and ended with this status.
    Exit(i32),
    /// It ran, and was killed.
    Signal(i32),
    /// The step that would have run it was refused, with this errno.
    Refused(i32),
    /// There is no such way here.
    Impossible(String),
}

/// The process.
pub(crate) struct Hand {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Hand {
    pub(crate) fn start(tools: &Tools) -> Self {
        let mut command = Command::new(tools.program("hand"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, orders, answers }
    }

    /// Gives `target` the bytes of `source`.
    pub(crate) fn change(&mut self, way: &str, target: &Path, source: &Path) -> Became {
        self.obey(&["change", way, text(target), text(source)])
    }

    /// Has a file run. On some roads it is a source of bytes; what those roads mount or make is in `scratch`, and is
    /// left alone before it runs until there is a file `go` in `scratch`, for at most `pause_ms`.
    pub(crate) fn run(&mut self, road: &str, file: &Path, scratch: &Path, pause_ms: u32) -> Became {
        self.obey(&["run", road, text(file), text(scratch), &pause_ms.to_string()])
    }

    /// Has a file run by its path.
    pub(crate) fn run_path(&mut self, file: &Path) -> Became {
        self.run("path", file, Path::new("-"), 0)
    }

    /// Changes `target` and has it run at once.
    pub(crate) fn change_and_run(&mut self, way: &str, target: &Path, source: &Path) -> Became {
        self.obey(&["change-run", way, text(target), text(source)])
    }

    /// Has `target` run while a writer, who `stays` or `comes`, begins to give it the bytes of `source`.
    pub(crate) fn race(&mut self, writer: &str, target: &Path, source: &Path, delay_us: i64) -> Became {
        self.obey(&["race", writer, text(target), text(source), &delay_us.to_string()])
    }

    fn obey(&mut self, words: &[&str]) -> Became {
        let order = words.join("\t");
        self.orders.as_mut().unwrap().write_all(format!("{order}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        let (kind, rest) = answer.trim_end().split_once(' ').unwrap_or((answer.trim_end(), ""));
        match kind {
            "done" => Became::Done,
            "exit" => Became::Exit(rest.parse().unwrap()),
            "signal" => Became::Signal(rest.parse().unwrap()),
            "errno" => Became::Refused(rest.parse().unwrap()),
            "impossible" => Became::Impossible(rest.to_owned()),
            _ => panic!("{order:?}: {answer}"),
        }
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.child.wait();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}
