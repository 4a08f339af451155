//! What ties a child to its warden, at the child's end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use super::alarm::Alarm;
use super::page::Page;
use super::pulse;

/// The packet, with the files of a snapshot, by which a guard says that these rules are in force.
pub(super) const IN_FORCE: &[u8] = b"in force";
/// By which it says that an agent hashes for it.
pub(super) const ATTACHED: &[u8] = b"attached";
/// By which the warden says that it has the seat: whoever wants the guard is to find this one.
pub(super) const SEATED: &[u8] = b"seated";
/// By which the warden says that another has the seat.
pub(super) const RELIEVED: &[u8] = b"relieved";

/// The numbers of the descriptors that a warden starts a child with.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// The shared page.
    pub page: RawFd,
    /// A guard's way to say that it denies.
    pub channel: Option<RawFd>,
    /// Rung when a guard is to beat.
    pub waker: Option<RawFd>,
    /// The two by which the warden hears that a resting guard is asked.
    pub alarm: Vec<RawFd>,
    /// A guard's first rules: what the one before had in force.
    pub snapshots: Vec<RawFd>,
}

/// What a warden has said to a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// It has the seat.
    Seated,
    /// Another has the seat, and is in force.
    Relieved,
    /// Nothing that this program understands.
    Else,
    /// Nothing any more.
    Gone,
}

/// What ties a child to its warden.
#[derive(Debug)]
pub struct Tether {
    pub(crate) page: Page,
    pub(crate) channel: Option<OwnedFd>,
    /// Rung when the guard's loop is to beat; taken by it.
    pub(crate) waker: Option<OwnedFd>,
    alarm: Option<Alarm>,
    pub(crate) snapshots: Vec<OwnedFd>,
    /// The guard is to mark nothing.
    pub observes: bool,
    /// Another guard goes on until this one is in force.
    pub relieves: bool,
}

impl Tether {
    pub(crate) const RESTS: Duration = pulse::RESTS;

    /// Takes over what this process was started with. To be called before anything else opens files.
    ///
    /// # Errors
    /// When there is nothing under these numbers, or something else.
    pub fn take(numbers: &Numbers) -> io::Result<Self> {
        Ok(Self {
            page: Page::map(sys::inherit::take(numbers.page)?)?,
            channel: numbers.channel.map(sys::inherit::take).transpose()?,
            waker: numbers.waker.map(sys::inherit::take).transpose()?,
            alarm: match *numbers.alarm.as_slice() {
                [set, bell] => Some(Alarm::of([sys::inherit::take(set)?, sys::inherit::take(bell)?])),
                _ => None,
            },
            snapshots: numbers
                .snapshots
                .iter()
                .map(|file| sys::inherit::take(*file))
                .collect::<Result<_, _>>()?,
            observes: false,
            relieves: false,
        })
    }

    /// Has the warden look seldom until `group` is asked, or [`Self::go_on`] is called. Returns whether it will; whoever
    /// rests says so anew by [`Self::rest_on`] as often as [`Self::RESTS`].
    pub(crate) fn rest(&self, group: BorrowedFd<'_>) -> bool {
        // Before the group is armed: what rouses the warden afterwards is later.
        let since = pulse::now();
        let is_armed = self.alarm.as_ref().is_some_and(|alarm| alarm.arm(group).is_ok());
        if is_armed {
            self.page.rest(Some(since));
        }
        is_armed
    }

    /// Still rests.
    pub(crate) fn rest_on(&self) {
        self.page.rest(Some(pulse::now()));
    }

    /// Rests no longer. To be called before anything is taken from the group.
    pub(crate) fn go_on(&self, group: BorrowedFd<'_>) {
        let Some(alarm) = &self.alarm else { return };
        alarm.ring();
        self.page.rest(None);
        alarm.disarm(group);
    }

    /// These rules are in force: the warden keeps them for the next guard.
    pub(crate) fn tell_in_force(&self, snapshot: &[BorrowedFd<'_>]) {
        self.tell(IN_FORCE, snapshot);
    }

    /// An agent hashes for this guard.
    pub(crate) fn tell_attached(&self) {
        self.tell(ATTACHED, &[]);
    }

    fn tell(&self, word: &[u8], files: &[BorrowedFd<'_>]) {
        if let Some(channel) = &self.channel {
            // A warden that does not listen is about to end, and this process with it.
            let _ = sys::socket::send(channel.as_fd(), word, files, true);
        }
    }

    /// Takes what the warden has said; to be called when the channel is readable.
    pub(crate) fn hear(&self) -> Said {
        let Some(channel) = &self.channel else { return Said::Gone };
        let mut packet = [0; 16];
        match sys::socket::receive(channel.as_fd(), &mut packet, &mut []) {
            Ok(received) if received.length > 0 => match &packet[..received.length] {
                SEATED => Said::Seated,
                RELIEVED => Said::Relieved,
                _ => Said::Else,
            },
            _ => Said::Gone,
        }
    }
}
