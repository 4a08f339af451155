//! A guard that says that it denies, and confirms rules only while it is not told to hesitate.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sys::socket::Kind;
use wire::link::v1::guard_report::Report;
use wire::link::{frame, v1};

use super::Guard;
use crate::guard::protocol;

#[derive(Clone, Default)]
pub(crate) struct Hesitant(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    control: Option<Arc<OwnedFd>>,
    /// Snapshots, which the agent numbers in this order; the next guard is given the last one again.
    last: u64,
    has_last: bool,
    hesitates: bool,
}

impl Hesitant {
    /// Listens in `dir`, and attaches an agent's end.
    pub(crate) fn start(dir: &Path) -> (Guard, Self) {
        let socket = dir.join(protocol::SOCKET);
        let listener = sys::socket::listen(&socket, Kind::Packets).unwrap();
        let hesitant = Self::default();
        let own = hesitant.clone();
        std::thread::spawn(move || {
            let mut others = Vec::new();
            while let Ok(socket) = sys::socket::accept(listener.as_fd()) {
                let mut packet = [0; 64];
                match protocol::receive(socket.as_fd(), &mut packet, &mut None) {
                    Ok(Some(purpose)) if purpose == protocol::CONTROL => own.serve(Arc::new(socket)),
                    _ => others.push(socket),
                }
            }
        });
        (Guard::attach(socket, crossbeam_channel::bounded(64).0), hesitant)
    }

    fn serve(&self, socket: Arc<OwnedFd>) {
        say(&socket, Report::Ready(v1::GuardReady { level: "deny".to_owned(), ..Default::default() }));
        self.0.lock().control = Some(socket.clone());
        let own = self.clone();
        let mut is_again = self.0.lock().last > 0;
        std::thread::spawn(move || {
            let mut packet = vec![0; protocol::LARGEST];
            // The rules, and their base.
            let mut files = [None, None];
            while let Ok(Some(packet)) = protocol::receive_with(socket.as_fd(), &mut packet, &mut files) {
                if packet != protocol::SNAPSHOT {
                    continue;
                }
                let mut state = own.0.lock();
                state.last += u64::from(!std::mem::take(&mut is_again));
                state.has_last = true;
                if !state.hesitates {
                    say(&socket, Report::AdoptedVersion(state.last));
                }
            }
        });
    }

    pub(crate) fn hesitate(&self) {
        self.0.lock().hesitates = true;
    }

    /// Confirms what was given, and what will be.
    pub(crate) fn confirm(&self) {
        let mut state = self.0.lock();
        state.hesitates = false;
        if let Some(control) = state.control.as_ref().filter(|_| state.has_last) {
            say(control, Report::AdoptedVersion(state.last));
        }
    }

    /// Ends, and is there again for who attaches anew.
    pub(crate) fn fall(&self) {
        let mut state = self.0.lock();
        state.has_last = false;
        if let Some(control) = state.control.take() {
            rustix::net::shutdown(&*control, rustix::net::Shutdown::Both).unwrap();
        }
    }

    pub(crate) fn wait_attached(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.0.lock().control.is_none() {
            assert!(Instant::now() < deadline, "nobody attaches");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn say(socket: &OwnedFd, report: Report) {
    let report = frame::body(&v1::GuardReport { report: Some(report) });
    // Who is gone hears nothing.
    let _ = sys::socket::send(socket.as_fd(), &report, &[], false);
}
