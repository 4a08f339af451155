//! Rules reach the kernel, and what it does by them reaches the agent.

use std::os::unix::fs::MetadataExt;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use agent::guard::SparedInode;
use agent::guard::client::{Event, Level, Meeting};
use model::rule::{Effect, Identifier, Rule, Scope};
use model::{MachineId, RuleId, Time};
use wire::link::v1::GuardCounters;

use crate::arena::{EPERM, Guarded, Kind, SETTLED, deny, deny_by, digests, run};
use crate::enter;

#[test]
fn a_file_without_asking_anybody() {
    let Some(arena) = enter(Kind::Ext4) else { return };
    let (bad, good) = (arena.program("bad", "bad"), arena.program("good", "good"));
    let guarded = arena.guarded();
    let file = digests(&bad);
    assert_eq!((run(&bad), run(&good)), (Ok(0), Ok(0)));
    guarded.adopt([deny(7, &file)]);
    assert_eq!((run(&bad), run(&good)), (Err(EPERM), Ok(0)));
    let met = met(&guarded);
    assert_eq!((met.names.sha256, met.rule, met.effect), (file.sha256, RuleId(7), Effect::Deny));
    assert_eq!((met.path.as_path(), met.size), (bad.as_path(), bad.metadata().unwrap().len()));
    assert!(met.pid > 0 && met.user == 0 && !met.late && !met.spared);
    guarded.adopt([]);
    assert_eq!(run(&bad), Ok(0));
    let status = guarded.status(|status| status.counters.denied == 1 && status.counters.hashed > 0);
    assert_eq!((status.level, status.mechanism.as_str()), (Level::Deny, "bpf"));
    assert_eq!(status.counters.questions, 0);
}

#[test]
fn what_the_kernel_does_not_know_is_asked_about() {
    let Some(arena) = enter(Kind::Tmpfs) else { return };
    let bad = arena.program("bad", "bad");
    let guarded = arena.guarded();
    let file = digests(&bad);
    for identifier in [Identifier::Sha1(file.sha1), Identifier::Md5(file.md5)] {
        guarded.adopt([deny_by(7, identifier)]);
        // An emulated machine may take longer for a hash than an opener waits; then the process is ended.
        let outcome = run(&bad);
        assert!([Err(EPERM), Ok(-1)].contains(&outcome), "{identifier:?}: {outcome:?}");
    }
    let denied = |counters: &GuardCounters| counters.denied + counters.denied_late;
    let counters = guarded.status(|status| denied(&status.counters) == 2).counters;
    assert_eq!(counters.questions, 2);
}

#[test]
fn known_as_clean_and_denied_from_the_next_moment_on() {
    let Some(arena) = enter(Kind::Ext4) else { return };
    let file = arena.program("file", "file");
    let rule = deny(1, &digests(&file));
    let another = Rule { identifier: Identifier::Sha256(model::Sha256([9; 32])), ..deny(2, &digests(&file)) };
    sleep(SETTLED);
    let guarded = arena.guarded();
    guarded.adopt([another]);
    assert_eq!(run(&file), Ok(0));
    let hashed = |guarded: &Guarded| {
        sleep(Duration::from_millis(1500));
        guarded.client.status().counters.hashed
    };
    let before = hashed(&guarded);
    for round in 0..50 {
        guarded.adopt([rule, another]);
        assert_eq!(run(&file), Err(EPERM), "round {round}");
        guarded.adopt([another]);
        assert_eq!(run(&file), Ok(0), "round {round}");
    }
    assert_eq!(hashed(&guarded), before);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a rule's end is told by the machine's own clock")]
fn a_weaker_rule_holds_when_the_stronger_has_ended() {
    let Some(arena) = enter(Kind::Tmpfs) else { return };
    let file = arena.program("file", "file");
    let guarded = arena.guarded();
    let deny = deny(1, &digests(&file));
    let until = Time::from_nanoseconds(
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos().cast_signed(),
    )
    .after(Duration::from_secs(4));
    let scope = Scope::Machine(MachineId([1; 20]));
    let allow = Rule { id: RuleId(2), effect: Effect::Allow, scope, until: Some(until), ..deny };
    guarded.adopt([deny, allow]);
    assert_eq!(run(&file), Ok(0));
    sleep(Duration::from_secs(5));
    // The guard looks once a second, if it gets to.
    let refused = (0..100).find(|_| {
        sleep(Duration::from_millis(100));
        run(&file) == Err(EPERM)
    });
    assert!(refused.is_some());
}

/// More copies are to be spared than there is room for: the rules that come with them do not reach the kernel.
#[test]
fn what_is_withdrawn_after_a_failure_is_denied_no_more() {
    let Some(arena) = enter(Kind::Tmpfs) else { return };
    let (bad, other) = (arena.program("bad", "bad"), arena.program("other", "other"));
    let guarded = arena.guarded();
    let (deny_bad, deny_other) = (deny(1, &digests(&bad)), deny(2, &digests(&other)));
    guarded.adopt([deny_bad]);
    assert_eq!((run(&bad), run(&other)), (Err(EPERM), Ok(0)));
    let too_many = (0..65_537).map(|inode| SparedInode { device: 1, inode, sha256: model::Sha256([7; 32]) });
    guarded.adopt_sparing([deny_other], too_many.collect());
    guarded.status(|status| status.mechanism == "bpf (not all rules), fanotify");
    // Openers are asked: it may be killed, where a hash takes long.
    assert_ne!(run(&other), Ok(0));
    guarded.adopt([deny_other]);
    guarded.status(|status| status.mechanism == "bpf");
    assert_eq!((run(&bad), run(&other)), (Ok(0), Err(EPERM)));
}

#[test]
fn a_spared_copy_runs_and_a_watched_one_is_told() {
    let Some(arena) = enter(Kind::Ext4) else { return };
    let (needed, copy) = (arena.program("needed", "needed"), arena.program("copy", "needed"));
    let watched = arena.program("watched", "watched");
    let file = digests(&needed);
    let inode = needed.metadata().unwrap();
    let spared = SparedInode { device: inode.dev(), inode: inode.ino(), sha256: file.sha256 };
    let guarded = arena.guarded();
    let watch = Rule { effect: Effect::Watch, ..deny(5, &digests(&watched)) };
    guarded.adopt_sparing([deny(4, &file), watch], vec![spared]);
    assert_eq!((run(&needed), run(&watched), run(&copy)), (Ok(0), Ok(0), Err(EPERM)));
    let told = [(); 3].map(|()| met(&guarded)).map(|met| (met.rule.0, met.effect, met.spared));
    assert_eq!(told, [(4, Effect::Deny, true), (5, Effect::Watch, false), (4, Effect::Deny, false)]);
}

fn met(guarded: &Guarded) -> Meeting {
    guarded.event(|event| match event {
        Event::Met(meeting) => Some(meeting),
        _ => None,
    })
}
