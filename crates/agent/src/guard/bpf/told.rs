//! What the programs in the kernel tell, on its way to the agent.

use std::os::fd::OwnedFd;
use std::time::Duration;

use crossbeam_channel::Sender;
use model::rule::Effect;
use model::{Clock, Names, RuleId, Sha256};
use rustix::event::{PollFd, PollFlags, poll};
use sys::bpf::{Event, Events, Hook, Outcome};
use sys::fanotify::permission::Answer;
use sys::identity::Stat;
use wire::link::v1;

use crate::clock::SystemClock;
use crate::guard::outbox::Outbox;
use crate::guard::recent::{Because, Given};
use crate::guard::shared::Shared;

/// How many files wait to be judged for those who were refused what nobody knew. Those beyond are refused again.
const WAITING: usize = 64;

pub(in crate::guard) struct Told(Events);

impl Told {
    pub(super) fn new(events: Events) -> Self {
        Self(events)
    }

    /// Passes on what is told, until `end` is rung.
    pub(in crate::guard) fn run(mut self, shared: &Shared, outbox: &Outbox<'_>, end: &OwnedFd) {
        let unknown = judge_beside();
        loop {
            let mut sources = [PollFd::new(end, PollFlags::IN), PollFd::new(&self.0, PollFlags::IN)];
            // Interrupted or not, what is ready is looked at below.
            let _ = poll(&mut sources, None);
            if !sources[0].revents().is_empty() {
                return;
            }
            while let Some(event) = self.0.take() {
                heed(&event, shared, outbox);
                if event.outcome == Outcome::Unknown && event.hook == Hook::Protect {
                    // Whoever finds no room is told again when it is refused again.
                    let _ = unknown.try_send(event);
                }
            }
        }
    }
}

/// Has files judged where nobody waits for it: to hash one takes as long as it is large. Ends with the sender.
fn judge_beside() -> Sender<Event> {
    let (sender, unknown) = crossbeam_channel::bounded::<Event>(WAITING);
    let judge = move || {
        for event in unknown {
            // It fails when the file is denied, and when nobody needs to know any more.
            let _ = sys::bpf::have_judged(&event);
        }
    };
    if let Err(error) = std::thread::Builder::new().name("guard-judge".to_owned()).spawn(judge) {
        tracing::error!(%error, "what nobody knows stays refused");
    }
    sender
}

fn heed(event: &Event, shared: &Shared, outbox: &Outbox<'_>) {
    let (counters, pid) = (&shared.counters, event.process);
    match event.outcome {
        Outcome::Denied => counters.denied.count(),
        Outcome::Watched => counters.watched.count(),
        Outcome::Spared => counters.spared.count(),
        Outcome::Unjudged | Outcome::Unknown => {
            counters.failed.count();
            let (path, error) = (String::from_utf8_lossy(&event.path), event.error);
            tracing::info!(%path, pid, size = event.size, error, hook = ?event.hook, "the kernel cannot judge a file");
        }
    }
    let met = meeting(event, shared);
    shared.recent.keep(pid, given(event, shared, met));
    if let Some((names, rule, effect)) = met {
        outbox.put(v1::Denial {
            bypassed: false,
            ran_at: 0,
            digests: Some((&names).into()),
            size: event.size,
            path: event.path.clone(),
            pid,
            rule: rule.0,
            late: false,
            spared: event.outcome == Outcome::Spared,
            effect: effect.word().to_owned(),
            times: 1,
            user: event.user,
        });
    }
}

/// The file and the rule that it met; none where nobody judged.
type Meeting = (Names, RuleId, Effect);

fn meeting(event: &Event, shared: &Shared) -> Option<Meeting> {
    let names = Names { sha256: Sha256(event.content?.digest), sha1: None, md5: None };
    let id = RuleId(event.rule);
    let effect = match event.outcome {
        Outcome::Unjudged | Outcome::Unknown => return None,
        Outcome::Watched => Effect::Watch,
        Outcome::Denied | Outcome::Spared => {
            let snapshot = shared.snapshot.load();
            let rule = snapshot.rules().matching(&names).find(|rule| rule.id == id);
            // It may have ended meanwhile.
            rule.map_or(Effect::Deny, |rule| rule.effect)
        }
    };
    Some((names, id, effect))
}

fn given(event: &Event, shared: &Shared, met: Option<Meeting>) -> Given {
    let refused = matches!(event.outcome, Outcome::Denied | Outcome::Unknown);
    Given {
        answer: if refused { Answer::Deny } else { Answer::Permit },
        because: match met {
            Some((_, rule, effect)) => Because::Judged {
                rule: Some((rule, effect)),
                spared: event.outcome == Outcome::Spared,
                from_cache: false,
            },
            None => Because::Failed,
        },
        file: Some(stat(event)),
        names: met.map(|(names, ..)| names),
        waited: Duration::ZERO,
        at: shared.snapshot.load().time(SystemClock.now()),
    }
}

/// What is known of the inode: its name and its length.
fn stat(event: &Event) -> Stat {
    let device = sys::bpf::stat_device(event.copy.device);
    Stat {
        identity: None,
        links: 0,
        inode: event.copy.inode,
        device,
        mode: 0,
        uid: 0,
        gid: 0,
        size: event.size,
        ctime_ns: 0,
        mtime_ns: 0,
        is_regular: true,
    }
}
