use std::fs::File;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sys::socket::Kind;
use wire::link::v1::hashed::Result as Outcome;

use super::*;

const LONG: Duration = Duration::from_secs(60);

/// A guard that asks what it is told to.
struct Asking {
    listener: OwnedFd,
    socket: OwnedFd,
    hashing: Arc<Hashing>,
    control: Arc<Control>,
    dir: tempfile::TempDir,
}

impl Asking {
    fn start() -> Self {
        sys::lease::ignore_break_signals().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("guard.sock");
        let listener = sys::socket::listen(&path, Kind::Packets).unwrap();
        let (events, _) = crossbeam_channel::bounded(1);
        let control = Arc::new(Control::new(path, events));
        let hashing = Hashing::start(&control);
        let socket = accept(&listener);
        Self { listener, socket, hashing, control, dir }
    }

    /// A file of this length, all zeros.
    fn file(&self, length: u64) -> OwnedFd {
        let path = self.dir.path().join(length.to_string());
        File::create(&path).unwrap().set_len(length).unwrap();
        File::open(path).unwrap().into()
    }

    fn asks(&self, id: u64, file: &OwnedFd) {
        let question = frame::body(&v1::Question { id, ..Default::default() });
        sys::socket::send(self.socket.as_fd(), &question, &[file.as_fd()], false).unwrap();
    }

    fn cancels(&self, id: u64) {
        let question = frame::body(&v1::Question { id, cancelled: true, ..Default::default() });
        sys::socket::send(self.socket.as_fd(), &question, &[], false).unwrap();
    }

    fn hears(&self) -> v1::Hashed {
        let mut packet = [0; 1024];
        let answer = protocol::receive(self.socket.as_fd(), &mut packet, &mut None).unwrap();
        frame::decode(answer.unwrap()).unwrap()
    }

    fn wait_until(&self, what: &str, is_so: impl Fn(&Hashing) -> bool) {
        let deadline = Instant::now() + LONG;
        while !is_so(&self.hashing) {
            assert!(Instant::now() < deadline, "waited too long: {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.control.close();
    }
}

fn accept(listener: &OwnedFd) -> OwnedFd {
    let socket = sys::socket::accept(listener.as_fd()).unwrap();
    let mut packet = [0; 64];
    assert_eq!(protocol::receive(socket.as_fd(), &mut packet, &mut None).unwrap(), Some(protocol::QUESTIONS));
    socket
}

/// Reading it takes longer than any test.
const ENDLESS: u64 = 1 << 42;

#[test]
fn what_is_cancelled_is_read_no_further_and_not_answered() {
    let asking = Asking::start();
    let endless = asking.file(ENDLESS);
    (1..=4).for_each(|id| asking.asks(id, &endless));
    asking.wait_until("all are there", |hashing| hashing.quick.jobs() == 4);
    (1..=4).for_each(|id| asking.cancels(id));
    asking.wait_until("none is there any more", |hashing| hashing.quick.jobs() == 0);
    asking.cancels(77);
    asking.asks(5, &asking.file(1));
    let answer = asking.hears();
    assert!(answer.id == 5 && matches!(answer.result, Some(Outcome::Digests(_))), "{answer:?}");
}

#[test]
fn nobody_reads_for_a_guard_that_is_gone() {
    let mut asking = Asking::start();
    let endless = asking.file(ENDLESS);
    (1..=4).for_each(|id| asking.asks(id, &endless));
    asking.wait_until("all are there", |hashing| hashing.quick.jobs() == 4);
    asking.socket = accept_after_leaving(&asking);
    asking.wait_until("none is there any more", |hashing| hashing.quick.jobs() == 0);
    asking.asks(1, &asking.file(1));
    assert_eq!(asking.hears().id, 1);
}

fn accept_after_leaving(asking: &Asking) -> OwnedFd {
    rustix::net::shutdown(&asking.socket, rustix::net::Shutdown::Both).unwrap();
    accept(&asking.listener)
}

#[test]
fn what_has_no_end_is_left_to_who_has_time() {
    let asking = Asking::start();
    asking.asks(1, &asking.file(ENDLESS));
    asking.wait_until("it is passed on", |hashing| hashing.patient.jobs() == 1);
    assert_eq!(asking.hashing.quick.jobs(), 0);
    asking.cancels(1);
    asking.wait_until("it ends", |hashing| hashing.patient.jobs() == 0);
}

#[test]
fn who_finds_no_room_is_told_so() {
    sys::process::raise_descriptor_limit().unwrap();
    let asking = Asking::start();
    let endless = asking.file(ENDLESS);
    let is_answered = || {
        let mut socket = [PollFd::new(&asking.socket, PollFlags::IN)];
        poll(&mut socket, Some(&Timespec::default())).unwrap() > 0
    };
    // Some are taken by workers meanwhile, and some passed on.
    let asked = (1..=3 * ROOM as u64).find(|id| {
        asking.asks(*id, &endless);
        is_answered()
    });
    assert!(asked.unwrap() > ROOM as u64);
    let answer = asking.hears();
    assert!(matches!(answer.result, Some(Outcome::Unreadable(_))), "{answer:?}");
}

#[test]
fn who_hears_of_a_small_file_reads_it_unless_anybody_else_wants_something() {
    let asking = Asking::start();
    let (ours, theirs) = sys::socket::pair(Kind::Packets).unwrap();
    let asker = Arc::new(Asker::new(Arc::new(ours)));
    let small = asking.file(100);
    let hears = |id, file: &OwnedFd, is_last| {
        let question = v1::Question { id, ..Default::default() };
        asking.hashing.hear(&asker, &question, file.try_clone().unwrap(), || is_last)
    };
    let answered = || {
        let mut packet = [0; 1024];
        let answer = protocol::receive(theirs.as_fd(), &mut packet, &mut None).unwrap();
        frame::decode::<v1::Hashed>(answer.unwrap()).unwrap().id
    };
    let known =
        hears(1, &small, true).expect("it is read at once, if the filesystem can tell what is in memory");
    assert_eq!((answered(), known.facts.size), (1, 100));
    assert!(hears(2, &small, false).is_none(), "others wait");
    assert_eq!(answered(), 2);
    assert!(hears(3, &asking.file(AT_ONCE + 1), true).is_none(), "it is large");
    assert_eq!(answered(), 3);
    let endless = asking.file(ENDLESS);
    // Seconds of work, until it is passed on.
    (10..42).for_each(|id| assert!(hears(id, &endless, true).is_none()));
    assert!(hears(4, &small, true).is_none(), "somebody reads");
    assert_eq!(answered(), 4);
    (10..42).for_each(|id| asker.cancels(id));
}
