//! The process that parses. It is confined before it is handed the first file, and lives for many.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use inspect::{HEAD, Source, Trust};
use model::inspection::{Inspection, Outcome};
use model::{Sha256, Time};
use parking_lot::Mutex;
use sys::socket;
use wire::link::inspection;
use wire::link::v1::{self, inspect_reply::Result as Reply};
use wire::link::{Malformed, frame};

use super::confined::confine;
use super::proven::Proven;

/// No request is longer.
const REQUEST: usize = 256;

/// Answers on the socket that is standard input, until nobody asks any more. Signatures are judged by `trust`.
///
/// # Errors
/// When this process can't be confined.
pub fn run(parent: i32, trust: &Trust) -> anyhow::Result<()> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    // Before the first file.
    confine(parent, socket.as_fd())?;
    serve(socket.as_fd(), |source, now| inspect::inspect(source, trust, now));
    Ok(())
}

/// Where inspection panicked last.
static PANICKED: Mutex<String> = Mutex::new(String::new());

/// Takes one file after the other, until the other end is closed or says what can't be understood.
pub(super) fn serve(socket: BorrowedFd<'_>, inspect: impl Fn(&dyn Source, Time) -> io::Result<Inspection>) {
    // Nothing may be written; where it was is told in the answer.
    std::panic::set_hook(Box::new(|panic| {
        *PANICKED.lock() = panic.location().map(ToString::to_string).unwrap_or_default();
    }));
    loop {
        let (mut buffer, mut slots) = ([0; REQUEST], [None]);
        let Ok(received) = socket::receive(socket, &mut buffer, &mut slots) else { return };
        let [Some(file)] = slots else { return };
        let Ok((wanted, now)) = request(&buffer[..received.length]) else { return };
        let reply = v1::InspectReply { result: Some(answer(file.as_fd(), wanted, now, &inspect)) };
        if socket::send(socket, &frame::body(&reply), &[], false).is_err() {
            return;
        }
    }
}

fn request(bytes: &[u8]) -> Result<(Sha256, Time), Malformed> {
    let request: v1::InspectRequest = frame::decode(bytes).map_err(|_| Malformed("request"))?;
    let wanted = Sha256::try_from(request.sha256.as_slice()).map_err(|_| Malformed("sha256"))?;
    Ok((wanted, Time::from_ticks(request.now)))
}

fn answer(
    file: BorrowedFd<'_>,
    wanted: Sha256,
    now: Time,
    inspect: &impl Fn(&dyn Source, Time) -> io::Result<Inspection>,
) -> Reply {
    let proven = match Proven::read(file) {
        Ok((proven, digest)) if digest == wanted => proven,
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            return Reply::Unreadable(error.to_string());
        }
        Ok(_) | Err(_) => return Reply::Changed(true),
    };
    let inspected = catch_unwind(AssertUnwindSafe(|| inspect(&proven, now)));
    if proven.is_changed() {
        return Reply::Changed(true);
    }
    match inspected {
        Ok(Ok(found)) => Reply::Inspection(inspection::told(&found)),
        Ok(Err(error)) => Reply::Unreadable(error.to_string()),
        Err(_) => {
            let reason = format!("it makes the inspection panic at {}", PANICKED.lock());
            let head = proven.piece(0, HEAD).unwrap_or_default();
            let facts = inspect::facts(&head, proven.size());
            Reply::Inspection(inspection::told(&Inspection::unread(facts, Outcome::Malformed(reason))))
        }
    }
}

#[cfg(test)]
#[path = "helper_tests.rs"]
mod tests;
