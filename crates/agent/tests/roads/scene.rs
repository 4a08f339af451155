//! A guarded filesystem, what is denied there, and what is not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent::filesystems::{Filesystem, Follower, State, Told};
use wire::link::v1::GuardCounters;

use crate::arena::{Arena, EPERM, Guarded, deny, digests};
use crate::hand::{Became, Hand, Tools};
use crate::level::Level;

/// What has become of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// The payload says so itself.
    Ran,
    /// It did not run, and how that showed.
    Refused(String),
    /// This road is not here.
    Impossible(String),
}

/// One content in all its forms, kept where nothing is guarded. Whatever form runs ends with `status`.
#[derive(Clone)]
pub(crate) struct Payload {
    pub(crate) status: u8,
    dir: PathBuf,
}

/// The forms: a program that needs nobody, one that needs a loader, a library, scripts.
pub(crate) const FORMS: [&str; 7] = ["payload", "program", "library", "run.sh", "run.py", "run.pl", "run.js"];

const DENIED: u8 = 42;
const INNOCENT: u8 = 43;
/// What a file holds before it is rewritten.
const BEFORE: u8 = 44;

pub(crate) struct Scene {
    pub(crate) hand: Hand,
    pub(crate) denied: Payload,
    pub(crate) innocent: Payload,
    pub(crate) before: Payload,
    pub(crate) tools: Tools,
    later: Later,
    guarded: Guarded,
    arena: Arena,
    tries: u32,
}

impl Payload {
    fn make(tools: &Tools, dir: PathBuf, status: u8) -> Self {
        fs::create_dir(&dir).unwrap();
        let payload = Self { status, dir };
        for form in FORMS {
            let bytes = match form.split_once('.') {
                None => tools.payload(form, status, 0),
                Some((_, "sh")) => format!("#!/bin/sh\nexit {status}\n").into_bytes(),
                Some((_, "py")) => format!("import sys\nsys.exit({status})\n").into_bytes(),
                Some((_, "pl")) => format!("exit {status};\n").into_bytes(),
                Some(_) => format!("process.exit({status});\n").into_bytes(),
            };
            write_program(&payload.form(form), &bytes);
        }
        payload
    }

    /// Where it is kept, not guarded.
    pub(crate) fn form(&self, form: &str) -> PathBuf {
        self.dir.join(form)
    }
}

impl Scene {
    /// `None`, and a line that says so, when it can't be set here.
    pub(crate) fn set(arena: Arena, level: Level) -> Option<Self> {
        let tools = Tools::build()?;
        let make = |name, status| Payload::make(&tools, arena.data_dir().join(name), status);
        let (denied, innocent) = (make("denied", DENIED), make("innocent", INNOCENT));
        let before = make("before", BEFORE);
        let Some(guarded) = level.guard(&arena) else {
            println!("not run: this guard has no level {level}");
            return None;
        };
        let rules = FORMS.iter().zip(1..).map(|(form, id)| deny(id, &digests(&denied.form(form))));
        guarded.adopt(rules);
        let hand = Hand::start(&tools);
        let later = Later::follow(&arena, &guarded);
        Some(Self { hand, denied, innocent, before, tools, later, guarded, arena, tries: 0 })
    }

    /// A new directory on the guarded filesystem.
    pub(crate) fn fresh_dir(&mut self) -> PathBuf {
        self.tries += 1;
        let dir = self.arena.path(&self.tries.to_string());
        fs::create_dir(&dir).unwrap();
        dir
    }

    /// A new directory where nothing is guarded.
    pub(crate) fn scratch(&mut self) -> PathBuf {
        self.tries += 1;
        let dir = self.arena.data_dir().join(self.tries.to_string());
        fs::create_dir(&dir).unwrap();
        dir
    }

    /// A copy of the payload in a directory of its own on the guarded filesystem.
    pub(crate) fn place(&mut self, payload: &Payload, form: &str) -> PathBuf {
        let path = self.fresh_dir().join(form);
        write_program(&path, &fs::read(payload.form(form)).unwrap());
        path
    }

    /// Has the hand run it.
    pub(crate) fn run(&mut self, payload: &Payload, road: &str, file: &Path) -> Trial {
        let scratch = self.scratch();
        trial(payload, self.hand.run(road, file, &scratch, 0))
    }

    /// The same, once the tmpfs that the road mounts is marked: how long that takes `guard_kernel/later.rs` tells.
    pub(crate) fn run_marked(&mut self, payload: &Payload, road: &str, file: &Path) -> Trial {
        const PAUSE_MS: u32 = 30_000;
        let scratch = self.scratch();
        let done = AtomicBool::new(false);
        let became = std::thread::scope(|threads| {
            threads.spawn(|| {
                while !done.load(Ordering::Relaxed) && !self.later.has_marked_below(&scratch) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                fs::write(scratch.join("go"), "").unwrap();
            });
            let became = self.hand.run(road, file, &scratch, PAUSE_MS);
            done.store(true, Ordering::Relaxed);
            became
        });
        trial(payload, became)
    }

    /// What the guard has counted, to see whether its timer came in between.
    pub(crate) fn counters(&self) -> GuardCounters {
        self.guarded.counters()
    }
}

/// By what the payload said when it ended, or by the kernel's refusal; anything else was not planned.
pub(crate) fn trial(payload: &Payload, became: Became) -> Trial {
    match became {
        Became::Exit(status) if status == i32::from(payload.status) => Trial::Ran,
        Became::Refused(EPERM) => Trial::Refused("EPERM".to_owned()),
        // Refused to a kernel that had already let go of the program before.
        Became::Signal(9 | 11) => Trial::Refused("killed".to_owned()),
        Became::Impossible(why) => Trial::Impossible(why),
        other => panic!("neither ran nor refused: {other:?}"),
    }
}

/// By what the payload said when it ended, through a program that says in its own way that it was refused.
pub(crate) fn trial_by(payload: &Payload, command: &mut Command) -> Trial {
    let output = command.stdin(Stdio::null()).output().unwrap();
    if output.status.code() == Some(i32::from(payload.status)) {
        return Trial::Ran;
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Trial::Refused(format!("{}, {}", output.status, said.trim().replace('\n', " ")))
}

pub(crate) fn write_program(path: &Path, bytes: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What brings filesystems that are mounted later to the guard: those of this test, and no others.
struct Later {
    told: Arc<Mutex<Vec<Filesystem>>>,
    _follower: Follower,
}

impl Later {
    fn follow(arena: &Arena, guarded: &Guarded) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let hear = {
            let told = told.clone();
            move |news: Told| *told.lock().unwrap() = news.filesystems.into_values().collect()
        };
        Self { told, _follower: arena.follow(guarded, hear) }
    }

    fn has_marked_below(&self, scratch: &Path) -> bool {
        let told = self.told.lock().unwrap();
        told.iter().any(|filesystem| {
            filesystem.state == State::Guarded
                && filesystem.kind == "tmpfs"
                && filesystem.path.starts_with(scratch)
        })
    }
}
