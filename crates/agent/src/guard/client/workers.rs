//! Threads that take turns.
//!
//! Reading a file may never come to an end: a disk dies, a device stands on something that does not answer. Nobody
//! can take a thread back from there, so another one takes its place, within bounds, and ends when the first returns.

use std::sync::Arc;
use std::thread;

use super::queue::{Lack, Queue, TICK};

/// Keeps as many threads at `work` as the queue wants; each returns when the queue gives it nothing more.
pub(super) fn start<J: Send + 'static>(
    queue: &Arc<Queue<J>>,
    work: impl Fn(&Queue<J>) + Send + Sync + 'static,
) {
    let (queue, work) = (Arc::clone(queue), Arc::new(work));
    thread::spawn(move || {
        let mut told = Vec::new();
        loop {
            match queue.lack() {
                Lack::Thread => {
                    let (served, work) = (Arc::clone(&queue), Arc::clone(&work));
                    if thread::Builder::new().spawn(move || work(&served)).is_err() {
                        queue.leave();
                        thread::sleep(TICK);
                    }
                }
                Lack::Nothing => tell(&queue, &mut told),
                Lack::Over => return,
            }
        }
    });
}

/// Logs what stands still, when that changes.
fn tell<J>(queue: &Queue<J>, told: &mut Vec<u64>) {
    let devices = queue.standing_still();
    if devices != *told {
        let named = |device: &u64| format!("{}:{}", rustix::fs::major(*device), rustix::fs::minor(*device));
        let named = devices.iter().map(named).collect::<Vec<_>>().join(", ");
        match devices.len() {
            0 => tracing::info!("files are read again"),
            readers => tracing::warn!(readers, devices = %named, "reading files does not come to an end"),
        }
        *told = devices;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

    use super::*;
    use crate::guard::client::queue::Crew;

    const CREW: Crew = Crew { moving: 2, most: 6, most_still_on_one: 3, told_after: None };
    const LONG: Duration = Duration::from_secs(30);

    /// What keeps a job until its other end is gone, and its name.
    type Job = (Receiver<()>, char);

    fn crew() -> (Arc<Queue<Job>>, Receiver<char>) {
        let queue = Arc::new(Queue::new(64, CREW));
        let (done, jobs) = unbounded();
        start(&queue, move |queue: &Queue<Job>| {
            while let Some((turn, (stuck, name))) = queue.take() {
                let _ = stuck.recv();
                let _ = done.send(name);
                queue.served(&turn, 1, None);
            }
        });
        (queue, jobs)
    }

    fn put(queue: &Queue<Job>, device: u64, name: char) -> Sender<()> {
        let (hold, stuck) = bounded(0);
        queue.put(1, device, 1, (stuck, name)).unwrap();
        hold
    }

    #[test]
    fn who_never_comes_back_is_replaced_and_leaves_others_their_turns() {
        let (queue, done) = crew();
        let dying: Vec<_> = (0..10).map(|_| put(&queue, 7, 'd')).collect();
        for round in 0..20 {
            drop(put(&queue, 8, 's'));
            assert_eq!(done.recv_timeout(LONG), Ok('s'), "round {round}");
        }
        // It answers again: all is read, and those that are too many go.
        drop(dying);
        for _ in 0..10 {
            assert_eq!(done.recv_timeout(LONG), Ok('d'));
        }
        while queue.threads() > CREW.moving {
            drop(put(&queue, 8, 's'));
            assert_eq!(done.recv_timeout(LONG), Ok('s'));
        }
        queue.close();
    }

    #[test]
    fn there_are_never_more_than_so_many() {
        let (queue, done) = crew();
        let dying: Vec<_> = (0..10).map(|device| put(&queue, device, 'd')).collect();
        while queue.threads() < CREW.most {
            thread::sleep(TICK);
        }
        thread::sleep(TICK * 4);
        assert_eq!(queue.threads(), CREW.most);
        drop(dying);
        for _ in 0..10 {
            assert_eq!(done.recv_timeout(LONG), Ok('d'));
        }
        queue.close();
    }
}
