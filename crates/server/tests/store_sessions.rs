//! The link's server end over a real socket, with a machine that tests play.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::act::{Act, CopyResult, CopyState, Outcome};
use model::facts::Facts;
use model::log::{Change, Entry};
use model::order::{Order, State};
use model::sighting::{Seen, Sighting};
use model::{Digests, FileId, Md5, OrderId, Sha1, Sha256, VaultId};
use server::clock::SystemClock;
use server::samples::{Limits, Samples};
use server::sessions::Sessions;
use server::store::{Caller, Home, Store};
use sha2::Digest;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;
use wire::link::v1::{down, up};
use wire::link::{PROTOCOL, frame, v1};

const FILE: Digests = Digests { sha256: Sha256([1; 32]), sha1: Sha1([2; 20]), md5: Md5([3; 16]) };

/// A quota of two samples of the largest size.
const LIMITS: Limits = Limits { quota: 4 << 20, largest: 2 << 20 };

struct Plane {
    store: Store,
    home: Home,
    sessions: Sessions,
    socket: PathBuf,
    directory: TempDir,
}

impl Plane {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let clock = Arc::new(SystemClock);
        let store = Store::open(directory.path(), clock.clone()).unwrap();
        let home = store.home("alpha").await.unwrap();
        let socket = directory.path().join("link.sock");
        let hints = store.hints().clone();
        let samples = Samples::open(directory.path(), LIMITS).unwrap();
        let sessions =
            Sessions::listen(&socket, store.clone(), hints, home.organization, clock, samples).unwrap();
        Self { store, home, sessions, socket, directory }
    }

    fn caller(&self) -> Caller {
        let organization = self.home.organization;
        Caller { organization, name: "tests".to_owned(), from: "127.0.0.1".to_owned(), confirms: false }
    }

    fn hello(&self) -> v1::Hello {
        let machine = self.home.machine.0.to_vec();
        v1::Hello { protocol: PROTOCOL, machine, host_name: "alpha".to_owned(), ..Default::default() }
    }

    async fn attach(&self) -> Machine {
        self.welcomed().await.0
    }

    /// An attached machine, and what it was welcomed with.
    async fn welcomed(&self) -> (Machine, v1::Welcome) {
        let mut machine = self.connect().await;
        machine.say(up::Message::Hello(self.hello())).await;
        let down::Message::Welcome(welcome) = machine.hear().await else { panic!("a welcome comes first") };
        assert_eq!(welcome.organization, self.home.organization.0.as_bytes());
        (machine, welcome)
    }

    async fn connect(&self) -> Machine {
        Machine(UnixStream::connect(&self.socket).await.unwrap())
    }

    /// Waits until the order is in that state.
    async fn becomes(&self, order: OrderId, state: State) -> Order {
        for _ in 0..500 {
            let order = self.store.order(self.home.organization, order).await.unwrap().unwrap();
            if order.state == state {
                return order;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the order never became {state:?}");
    }
}

struct Machine(UnixStream);

impl Machine {
    async fn say(&mut self, message: up::Message) {
        let frame = frame::encode(&v1::Up { message: Some(message) }).unwrap();
        self.0.write_all(&frame).await.unwrap();
    }

    /// The next message; none when the server has closed the connection.
    async fn next(&mut self) -> Option<down::Message> {
        let heard = timeout(Duration::from_secs(5), async {
            let mut head = [0; 4];
            self.0.read_exact(&mut head).await.ok()?;
            let mut body = vec![0; frame::length(head).unwrap()];
            self.0.read_exact(&mut body).await.ok()?;
            frame::decode::<v1::Down>(&body).unwrap().message
        });
        heard.await.expect("the server says something or closes")
    }

    async fn hear(&mut self) -> down::Message {
        self.next().await.expect("the server says something")
    }

    async fn rules(&mut self) -> v1::Rules {
        match self.hear().await {
            down::Message::Rules(rules) => rules,
            other => panic!("rules were expected, not {other:?}"),
        }
    }

    async fn adopt(&mut self, rules: &v1::Rules) {
        let position = v1::Position { epoch: rules.epoch, generation: rules.to };
        self.say(up::Message::Adopted(position)).await;
    }
}

fn batch(sequence: u64) -> up::Message {
    let sighting = Sighting {
        digests: FILE,
        facts: Facts::default(),
        path: "/demo/a".into(),
        seen: Seen::AtRest,
        origin: None,
        age: Duration::from_secs(1),
    };
    up::Message::Sightings(v1::Sightings { sequence, sightings: vec![(&sighting).into()] })
}

#[tokio::test]
async fn a_block_reaches_the_machine_and_ends_when_it_is_adopted() {
    let plane = Plane::new().await;
    let mut machine = plane.attach().await;
    let first = machine.rules().await;
    assert_eq!((first.whole, first.epoch, first.to), (true, plane.home.epoch.0, 0));
    machine.adopt(&first).await;

    let file = FileId::Sha1(FILE.sha1);
    let asked = std::time::Instant::now();
    let block = plane.store.block(&plane.caller(), file, "why".to_owned()).await.unwrap();
    let delta = machine.rules().await;
    assert!(asked.elapsed() < Duration::from_millis(900), "a hint, and not the poll, brought it");
    assert_eq!((delta.whole, delta.from, delta.to), (false, 0, 1));
    let entry = Entry::try_from(&delta.entries[0]).unwrap();
    assert!(matches!(entry.change, Change::Begin(rule) if rule.id == block.rule));
    assert_eq!(delta.chain, entry.chain);
    plane.becomes(block.order, State::InProgress).await;
    machine.adopt(&delta).await;
    plane.becomes(block.order, State::Succeeded).await;
}

#[tokio::test]
async fn a_quarantine_is_rules_act_begun_and_outcome() {
    let plane = Plane::new().await;
    let mut machine = plane.attach().await;
    machine.rules().await;
    let guard = v1::Heartbeat {
        guard_level: "deny".to_owned(),
        guarded: vec![b"/demo".to_vec()],
        first_sweep_complete: true,
        ..Default::default()
    };
    machine.say(up::Message::Heartbeat(guard.clone())).await;
    machine.say(batch(1)).await;
    assert_eq!(machine.hear().await, down::Message::SightingsStored(1));
    machine.say(batch(1)).await;
    assert_eq!(machine.hear().await, down::Message::SightingsStored(1), "a replay is acknowledged, too");

    let (by, file) = (plane.caller(), FileId::Sha256(FILE.sha256));
    let order = plane.store.quarantine(&by, plane.home.machine, file, "bad".to_owned()).await.unwrap();
    assert_eq!(order.copies.len(), 1);
    assert_eq!(machine.rules().await.to, 1, "the deny comes before the act");
    let down::Message::Act(told) = machine.hear().await else { panic!("an act") };
    let act = Act::try_from(&told).unwrap();
    assert_eq!((act.order, act.after.generation.0), (order.id, 1));
    machine.say(up::Message::ActBegun(told.id.clone())).await;
    plane.becomes(order.id, State::InProgress).await;

    // Lost in between: the next connection hears of the act again.
    drop(machine);
    let mut machine = plane.attach().await;
    machine.rules().await;
    assert_eq!(machine.hear().await, down::Message::Act(told.clone()));
    let vault = Some(VaultId::random());
    let copy = CopyResult { path: "/demo/a".into(), state: CopyState::Succeeded, reason: None, vault };
    let outcome =
        Outcome { act: act.id, copies: vec![copy], stopped: 1, services: Vec::new(), failure: None };
    for _ in 0..2 {
        machine.say(up::Message::Outcome((&outcome).into())).await;
        assert_eq!(machine.hear().await, down::Message::OutcomeStored(told.id.clone()));
    }
    let done = plane.becomes(order.id, State::Succeeded).await;
    assert_eq!(done.copies, outcome.copies);

    let lifted = v1::Lifted { rule: order.rule.unwrap().0, comment: "by hand".to_owned() };
    machine.say(up::Message::Lifted(lifted)).await;
    let (one, other) = (machine.hear().await, machine.hear().await);
    let answers = [&one, &other];
    assert!(answers.contains(&&down::Message::LiftedStored(1)));
    assert!(answers.iter().any(|answer| matches!(answer, down::Message::Rules(rules) if rules.to == 2)));
}

#[tokio::test]
async fn a_machine_is_asked_not_to_begin_what_was_withdrawn() {
    let plane = Plane::new().await;
    let mut machine = plane.attach().await;
    machine.rules().await;
    machine.say(batch(1)).await;
    assert_eq!(machine.hear().await, down::Message::SightingsStored(1));
    let (by, file) = (plane.caller(), FileId::Sha256(FILE.sha256));
    let order = plane.store.quarantine(&by, plane.home.machine, file, "bad".to_owned()).await.unwrap();
    machine.rules().await;
    let down::Message::Act(told) = machine.hear().await else { panic!("an act") };
    assert!(!told.cancelled);
    plane.store.cancel(&by, order.id, "not so bad".to_owned()).await.unwrap();
    let again = v1::Act { cancelled: true, ..told.clone() };
    assert_eq!(machine.hear().await, down::Message::Act(again.clone()));

    // Lost in between: it is asked again.
    drop(machine);
    let mut machine = plane.attach().await;
    machine.rules().await;
    assert_eq!(machine.hear().await, down::Message::Act(again));
    let failure = Some(model::order::Failure::cancelled("cancelled before the machine began"));
    let act = Act::try_from(&told).unwrap();
    let outcome = Outcome { act: act.id, copies: Vec::new(), stopped: 0, services: Vec::new(), failure };
    machine.say(up::Message::Outcome((&outcome).into())).await;
    plane.becomes(order.id, State::Cancelled).await;
    let (one, other) = (machine.hear().await, machine.hear().await);
    let answers = [&one, &other];
    assert!(answers.contains(&&down::Message::OutcomeStored(told.id.clone())));
    assert!(answers.iter().any(|answer| matches!(answer, down::Message::Rules(rules) if rules.to == 2)));
}

#[tokio::test]
async fn the_welcome_says_which_sightings_are_stored() {
    let plane = Plane::new().await;
    let (mut machine, welcome) = plane.welcomed().await;
    assert_eq!(welcome.sightings_stored, 0);
    machine.rules().await;
    machine.say(batch(7)).await;
    assert_eq!(machine.hear().await, down::Message::SightingsStored(7));
    drop(machine);
    assert_eq!(plane.welcomed().await.1.sightings_stored, 7);
}

#[tokio::test]
async fn who_is_there_is_known_and_the_newest_connection_counts() {
    let plane = Plane::new().await;
    assert_eq!(plane.sessions.attached(plane.home.machine), None);
    let mut first = plane.attach().await;
    first.rules().await;
    assert!(plane.sessions.attached(plane.home.machine).is_some());
    let mut second = plane.attach().await;
    second.rules().await;
    assert_eq!(first.next().await, None, "the older one is closed");
    let beat = v1::Heartbeat { guard_level: "observe".to_owned(), ..Default::default() };
    second.say(up::Message::Heartbeat(beat.clone())).await;
    second.say(batch(1)).await;
    second.hear().await;
    assert_eq!(plane.sessions.attached(plane.home.machine).unwrap().heartbeat, Some(beat));
    drop(second);
    for _ in 0..500 {
        if plane.sessions.attached(plane.home.machine).is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it is gone and still counts as attached");
}

#[tokio::test]
async fn what_makes_no_sense_closes_its_own_connection_only() {
    let plane = Plane::new().await;
    let mut good = plane.attach().await;
    good.rules().await;
    let greetings = [
        v1::Hello { protocol: 99, ..plane.hello() },
        v1::Hello { machine: vec![1; 20], ..plane.hello() },
        v1::Hello { machine: vec![1; 3], ..plane.hello() },
    ];
    for hello in greetings {
        let mut bad = plane.connect().await;
        bad.say(up::Message::Hello(hello)).await;
        assert_eq!(bad.next().await, None);
    }
    let mut bad = plane.connect().await;
    bad.say(batch(1)).await;
    assert_eq!(bad.next().await, None, "not a hello");
    for bytes in [[255_u8; 8], [4, 0, 0, 0, 255, 255, 255, 255]] {
        let mut bad = plane.connect().await;
        bad.0.write_all(&bytes).await.unwrap();
        assert_eq!(bad.next().await, None);
    }
    // A silent one holds nobody up.
    let _silent = plane.connect().await;
    plane.store.block(&plane.caller(), FileId::Sha1(FILE.sha1), "why".to_owned()).await.unwrap();
    assert_eq!(good.rules().await.to, 1);
    good.say(up::Message::ActBegun(vec![1])).await;
    assert_eq!(good.next().await, None, "malformed after hello, too");
}

#[tokio::test]
async fn the_socket_is_ours_alone_and_a_stale_one_is_replaced() {
    use std::os::unix::fs::PermissionsExt;

    let plane = Plane::new().await;
    let mode = std::fs::metadata(&plane.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = |socket: &PathBuf| {
        let hints = plane.store.hints().clone();
        let clock = Arc::new(SystemClock);
        let samples = Samples::open(plane.directory.path(), LIMITS).unwrap();
        Sessions::listen(socket, plane.store.clone(), hints, plane.home.organization, clock, samples)
    };
    let refused = again(&plane.socket).err().expect("another server listens there");
    assert_eq!(refused.kind(), std::io::ErrorKind::AddrInUse);

    let stale = plane.socket.with_file_name("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    let sessions = again(&stale).unwrap();
    drop(sessions);
    assert!(!stale.exists(), "removed with the last handle");
    std::fs::write(&stale, "a letter").unwrap();
    assert!(again(&stale).is_err(), "what is no socket is not replaced");
}

/// A file's bytes, and what it is called.
fn sample(length: usize) -> (Vec<u8>, v1::Digests) {
    let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
    let sha256 = Sha256(sha2::Sha256::digest(&bytes).into());
    let sha1 = Sha1(sha1::Sha1::digest(&bytes).into());
    let digests = Digests { sha256, sha1, md5: FILE.md5 };
    (bytes, (&digests).into())
}

impl Plane {
    /// The machine has an order to collect that file, and has heard of it.
    async fn collects(&self, machine: &mut Machine, digests: &v1::Digests) -> (Order, Vec<u8>) {
        let file = FileId::Sha256(Digests::try_from(digests).unwrap().sha256);
        let (by, here) = (self.caller(), self.home.machine);
        let order = self.store.collect(&by, here, file, "look".to_owned(), LIMITS).await.unwrap();
        let down::Message::Act(told) = machine.hear().await else { panic!("an act") };
        assert_eq!(Act::try_from(&told).unwrap().what, model::act::Do::Collect(file));
        (order, told.id)
    }
}

impl Machine {
    async fn offers(&mut self, act: &[u8], digests: &v1::Digests, size: usize) -> down::Message {
        let digests = Some(digests.clone());
        self.say(up::Message::SampleOffer(v1::SampleOffer { act: act.to_vec(), digests, size: size as u64 }))
            .await;
        self.hear().await
    }

    async fn sends(&mut self, act: &[u8], offset: u64, bytes: &[u8]) {
        let chunk = v1::SampleChunk { act: act.to_vec(), offset, bytes: bytes.to_vec() };
        self.say(up::Message::SampleChunk(chunk)).await;
    }

    /// Sends as far as there is credit, in pieces; what is said when there is nothing more to send comes back.
    async fn sends_all(
        &mut self,
        act: &[u8],
        bytes: &[u8],
        wanted: v1::SampleWanted,
    ) -> (u64, down::Message) {
        let (mut at, mut until, mut credits) = (wanted.from, wanted.until, 1);
        while at < bytes.len() as u64 {
            if at == until {
                let down::Message::SampleWanted(more) = self.hear().await else { panic!("more credit") };
                until = more.until;
                credits += 1;
            }
            let end = until.min(at + 60_000);
            self.sends(act, at, &bytes[at as usize..end as usize]).await;
            at = end;
        }
        loop {
            match self.hear().await {
                down::Message::SampleWanted(_) => credits += 1,
                other => return (credits, other),
            }
        }
    }
}

#[tokio::test]
async fn a_sample_comes_in_pieces_on_credit_and_goes_on_where_it_was_cut() {
    let plane = Plane::new().await;
    let mut machine = plane.attach().await;
    machine.rules().await;
    let (bytes, digests) = sample(1_700_000);
    let (order, act) = plane.collects(&mut machine, &digests).await;
    let down::Message::SampleWanted(wanted) = machine.offers(&act, &digests, bytes.len()).await else {
        panic!("it is wanted")
    };
    assert_eq!((wanted.from, wanted.until), (0, 512 << 10));
    machine.sends(&act, 0, &bytes[..100_000]).await;
    // Taken in beside it: an order that comes meanwhile is told at once.
    let block =
        plane.store.block(&plane.caller(), FileId::Sha1(Sha1([9; 20])), "x".to_owned()).await.unwrap();
    let rules = machine.rules().await;
    machine.adopt(&rules).await;
    plane.becomes(block.order, State::Succeeded).await;
    drop(machine);

    let mut machine = plane.attach().await;
    machine.rules().await;
    assert!(matches!(machine.hear().await, down::Message::Act(_)));
    // One on its way from before is of no offer.
    machine.sends(&act, 100_000, &bytes[100_000..100_010]).await;
    let down::Message::SampleWanted(wanted) = machine.offers(&act, &digests, bytes.len()).await else {
        panic!("it is wanted still")
    };
    assert_eq!(wanted.from, 100_000, "what came is not sent again");
    let (credits, last) = machine.sends_all(&act, &bytes, wanted).await;
    assert_eq!(last, down::Message::SampleStored(act.clone()));
    assert!(credits > 3, "{credits}");
    let by = plane.caller();
    let file = FileId::Sha256(Digests::try_from(&digests).unwrap().sha256);
    assert_eq!(plane.store.read_sample(&by, file).await.unwrap().unwrap().size, 1_700_000);

    let outcome = Outcome {
        act: model::ActId(uuid::Uuid::from_slice(&act).unwrap()),
        copies: Vec::new(),
        stopped: 0,
        services: Vec::new(),
        failure: None,
    };
    machine.say(up::Message::Outcome((&outcome).into())).await;
    assert_eq!(machine.hear().await, down::Message::OutcomeStored(act));
    plane.becomes(order.id, State::Succeeded).await;

    // Once it is here, nobody sends it again.
    let (_, act) = plane.collects(&mut machine, &digests).await;
    assert_eq!(machine.offers(&act, &digests, bytes.len()).await, down::Message::SampleStored(act));
}

#[tokio::test]
async fn what_is_too_large_or_another_file_is_refused() {
    let plane = Plane::new().await;
    let mut machine = plane.attach().await;
    machine.rules().await;
    let (bytes, digests) = sample(1000);
    let (order, act) = plane.collects(&mut machine, &digests).await;
    let refused = |answer: down::Message| match answer {
        down::Message::SampleRefused(refused) => refused.reason,
        other => panic!("a refusal was expected, not {other:?}"),
    };
    let why = refused(machine.offers(&act, &digests, 3 << 20).await);
    assert!(why.contains("--largest-sample"), "{why}");
    let (_, other) = sample(1001);
    let why = refused(machine.offers(&act, &other, 1001).await);
    assert!(why.contains("in place of"), "{why}");
    let why = refused(machine.offers(&[7; 16], &digests, 1000).await);
    assert!(why.contains("no order"), "{why}");

    assert!(matches!(machine.offers(&act, &digests, bytes.len()).await, down::Message::SampleWanted(_)));
    let mut false_bytes = bytes.clone();
    false_bytes[999] ^= 1;
    machine.sends(&act, 0, &false_bytes).await;
    let why = refused(machine.hear().await);
    assert!(why.contains("not what was announced"), "{why}");

    // Its word alone is not believed.
    let id = model::ActId(uuid::Uuid::from_slice(&act).unwrap());
    let outcome = Outcome { act: id, copies: Vec::new(), stopped: 0, services: Vec::new(), failure: None };
    machine.say(up::Message::Outcome((&outcome).into())).await;
    let failed = plane.becomes(order.id, State::Failed).await;
    assert!(failed.failure.unwrap().reason.contains("not here"));
}

#[tokio::test]
async fn the_quota_counts_what_is_on_its_way() {
    let plane = Plane::new().await;
    let mut machine = plane.attach().await;
    machine.rules().await;
    for (number, taken) in [(1_u8, true), (2, true), (3, false)] {
        let digests = Digests { sha256: Sha256([number; 32]), sha1: Sha1([number; 20]), md5: FILE.md5 };
        let digests: v1::Digests = (&digests).into();
        let (_, act) = plane.collects(&mut machine, &digests).await;
        match machine.offers(&act, &digests, 2 << 20).await {
            down::Message::SampleWanted(_) => assert!(taken, "{number}"),
            down::Message::SampleRefused(refused) => {
                assert!(!taken && refused.reason.contains("--sample-quota"), "{number}: {}", refused.reason);
            }
            other => panic!("{other:?}"),
        }
    }
    // The room of what was cancelled is free again.
    let orders =
        plane.store.orders(plane.home.organization, server::store::Page { skip: 0, top: 9 }).await.unwrap();
    let acts = plane.store.acts_for(plane.home.organization, plane.home.machine).await.unwrap();
    let failure = Some(model::order::Failure::because("somebody wants to write to it"));
    let outcome =
        Outcome { act: acts[0].act.id, copies: Vec::new(), stopped: 0, services: Vec::new(), failure };
    machine.say(up::Message::Outcome((&outcome).into())).await;
    machine.hear().await;
    plane.becomes(orders[2].id, State::Failed).await;
    let third = &acts[2].act;
    let digests: v1::Digests =
        (&Digests { sha256: Sha256([3; 32]), sha1: Sha1([3; 20]), md5: FILE.md5 }).into();
    let answer = machine.offers(third.id.0.as_bytes(), &digests, 2 << 20).await;
    assert!(matches!(answer, down::Message::SampleWanted(_)), "{answer:?}");
}

fn inspected(file: Sha256, result: v1::inspected::Result) -> up::Message {
    let version = model::inspection::VERSION;
    up::Message::Inspected(v1::Inspected { sha256: file.0.to_vec(), version, result: Some(result) })
}

impl Plane {
    async fn inspecting(&self) -> Machine {
        let mut machine = self.connect().await;
        let inspection_version = model::inspection::VERSION;
        machine.say(up::Message::Hello(v1::Hello { inspection_version, ..self.hello() })).await;
        assert!(matches!(machine.hear().await, down::Message::Welcome(_)));
        machine.rules().await;
        machine
    }

    async fn known(&self) -> Option<model::inspection::Inspection> {
        let file = self.store.file(self.home.organization, FileId::Sha1(FILE.sha1)).await.unwrap();
        file.and_then(|file| file.inspection).map(|inspection| inspection.record)
    }
}

#[tokio::test]
async fn a_machine_is_asked_about_what_it_has_until_it_answers() {
    use v1::inspected::Result as Said;
    let plane = Plane::new().await;
    let mut machine = plane.inspecting().await;
    machine.say(batch(1)).await;
    assert_eq!(machine.hear().await, down::Message::SightingsStored(1));
    let wanted =
        down::Message::InspectionWanted(v1::InspectionWanted { sha256: vec![FILE.sha256.0.to_vec()] });
    assert_eq!(machine.hear().await, wanted);
    // What nobody asked for, and what is no record, changes nothing and ends nothing.
    let record = model::inspection::Inspection { publisher: Some("me".to_owned()), ..Default::default() };
    let bytes = wire::link::inspection::encode(&record);
    machine.say(inspected(Sha256([9; 32]), Said::Record(bytes.clone()))).await;
    machine.say(inspected(FILE.sha256, Said::Record(vec![0xff; 70_000]))).await;
    machine.say(batch(2)).await;
    assert_eq!(machine.hear().await, down::Message::SightingsStored(2), "it is not asked again at once");
    assert_eq!(plane.known().await, None);

    // Lost in between: the next connection asks again.
    drop(machine);
    let mut machine = plane.inspecting().await;
    assert_eq!(machine.hear().await, wanted);
    drop(machine);
    let mut machine = plane.inspecting().await;
    assert_eq!(machine.hear().await, wanted);
    // It has an answer after all.
    machine.say(inspected(FILE.sha256, Said::PutOff("busy".to_owned()))).await;
    machine.say(inspected(FILE.sha256, Said::Record(bytes))).await;
    machine.say(batch(3)).await;
    assert_eq!(machine.hear().await, down::Message::SightingsStored(3));
    for _ in 0..500 {
        if plane.known().await.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(plane.known().await, Some(record));
    drop(machine);
    let mut machine = plane.inspecting().await;
    machine.say(batch(4)).await;
    assert_eq!(machine.hear().await, down::Message::SightingsStored(4), "nothing is due any more");
}

#[tokio::test]
async fn a_machine_that_inspects_nothing_is_not_asked() {
    let plane = Plane::new().await;
    let mut machine = plane.attach().await;
    machine.rules().await;
    for sequence in 1..4 {
        machine.say(batch(sequence)).await;
        assert_eq!(machine.hear().await, down::Message::SightingsStored(sequence));
    }
}
