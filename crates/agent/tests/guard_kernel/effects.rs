//! What each effect of a rule does when its file is executed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use agent::guard::client::Event;
use model::bypass::Bypass;
use model::rule::{Effect, Rule};
use model::{RuleId, Time};

use crate::arena::{Arena, EPERM, Guarded, Kind, deny, digests, run};

const NOBODY: u32 = 65534;

fn run_as(user: u32, program: &Path) -> Result<i32, i32> {
    let status = Command::new(program).uid(user).stdin(Stdio::null()).status();
    status.map(|status| status.code().unwrap_or(-1)).map_err(|error| error.raw_os_error().unwrap())
}

/// The rule, its effect and user, and whether the file runs all the same.
fn met(guarded: &Guarded) -> (RuleId, Effect, u32, bool) {
    guarded.event(|event| match event {
        Event::Met(meeting) => Some((meeting.rule, meeting.effect, meeting.user, meeting.bypassed)),
        _ => None,
    })
}

#[test]
fn each_effect_does_what_it_says() {
    let Some(arena) = Arena::enter(Kind::Ext4) else { return };
    let file = arena.program("file", "file");
    let names = digests(&file);
    let guarded = arena.guarded();
    let effects = [
        (Effect::Deny, Err(EPERM)),
        (Effect::DenyAndStop, Err(EPERM)),
        (Effect::Warn, Err(EPERM)),
        (Effect::Watch, Ok(0)),
    ];
    for (id, (effect, outcome)) in (1..).zip(effects) {
        guarded.adopt([Rule { effect, ..deny(id, &names) }]);
        assert_eq!(run(&file), outcome, "{effect:?}");
        assert_eq!(met(&guarded), (RuleId(id), effect, 0, false));
    }
    // Nothing is told of what is allowed, and it wins over what is weaker.
    guarded.adopt([
        Rule { effect: Effect::Allow, ..deny(9, &names) },
        Rule { effect: Effect::Watch, ..deny(10, &names) },
    ]);
    assert_eq!(run(&file), Ok(0));
    let counters = guarded.status(|status| status.counters.questions == 5).counters;
    assert_eq!((counters.denied, counters.watched), (3, 1));
}

#[test]
fn a_warning_is_passed_by_one_user_for_a_while() {
    let Some(arena) = Arena::enter(Kind::Tmpfs) else { return };
    let file = arena.program("file", "file");
    fs::set_permissions(arena.ground(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(arena.data_dir(), fs::Permissions::from_mode(0o711)).unwrap();
    let names = digests(&file);
    let guarded = arena.guarded();
    let warn = Rule { effect: Effect::Warn, ..deny(1, &names) };
    let far = Time::from_seconds(1 << 33);
    let mut bypass = Bypass { user: NOBODY, sha256: names.sha256, until: far };
    guarded.client.set_bypasses(vec![bypass]);
    guarded.adopt([warn]);
    assert_eq!((run_as(NOBODY, &file), run_as(0, &file)), (Ok(0), Err(EPERM)));
    assert_eq!(met(&guarded), (RuleId(1), Effect::Warn, NOBODY, true));
    assert_eq!(met(&guarded), (RuleId(1), Effect::Warn, 0, false));
    // No bypass passes a denial.
    guarded.adopt([deny(2, &names)]);
    assert_eq!(run_as(NOBODY, &file), Err(EPERM));
    bypass.until = Time::from_seconds(1);
    guarded.client.set_bypasses(vec![bypass]);
    guarded.adopt([warn]);
    assert_eq!(run_as(NOBODY, &file), Err(EPERM), "it is over");
}

#[test]
fn a_rule_ends_by_the_servers_clock() {
    let Some(arena) = Arena::enter(Kind::Tmpfs) else { return };
    let file = arena.program("file", "file");
    let guarded = arena.guarded();
    let far = Time::from_seconds(1 << 33);
    let deny = Rule { until: Some(far), ..deny(1, &digests(&file)) };
    for (ahead, outcome) in
        [(0, Err(EPERM)), (far.ticks(), Ok(0)), (-1_000_000_000, Err(EPERM)), (far.ticks(), Ok(0))]
    {
        guarded.client.set_ahead(ahead);
        guarded.adopt([deny]);
        assert_eq!(run(&file), outcome, "{ahead}");
    }
}
