use std::os::unix::net::UnixListener;
use std::sync::atomic::AtomicUsize;

use model::act::{Act, Do};
use model::log::Position;
use model::{ActId, FileId, OrderId, Sha1, Time};
use wire::link::frame;
use wire::link::v1::{self, down};

use super::*;
use crate::core::for_test::{MACHINE, Room, core, is_private};

/// A server that answers each connection, and has something to say that must be kept.
fn serve(listener: UnixListener, connections: Arc<AtomicUsize>) {
    let act = Act {
        id: ActId::random(),
        order: OrderId::random(),
        machine: MACHINE,
        what: Do::Collect(FileId::Sha1(Sha1([3; 20]))),
        after: Position::default(),
        deadline: Time::from_seconds(1),
    };
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            connections.fetch_add(1, Ordering::SeqCst);
            let _: Option<v1::Up> = frame::read(&mut stream).unwrap_or_default();
            let welcome = v1::Welcome { heartbeat_seconds: 30, ..Default::default() };
            for message in [down::Message::Welcome(welcome), down::Message::Act((&act).into())] {
                let _ = frame::write(&mut stream, &v1::Down { message: Some(message) });
            }
            while let Ok(Some(_)) = frame::read::<v1::Up>(&mut stream) {}
        }
    });
}

#[test]
fn a_full_disk_makes_no_storm_of_connections() {
    if !is_private() {
        return;
    }
    let (room, sockets) = (Room::new(), tempfile::tempdir().unwrap());
    let data = room.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let (core, nudged) = core(&data, sockets.path(), None);
    room.fill(&core);
    let socket = sockets.path().join("link.sock");
    let connections = Arc::new(AtomicUsize::new(0));
    serve(UnixListener::bind(&socket).unwrap(), connections.clone());
    let (collector, end) = crate::collecting::pair();
    let (inspector, inspections) = crate::inspector::pair(crate::inspector::Helper(Vec::new()), 0);
    let own = core.clone();
    let linked = std::thread::spawn(move || {
        run(&own, &socket, &nudged, &crossbeam_channel::bounded(1).0, &end, &inspections);
    });
    std::thread::sleep(Duration::from_secs(3));
    let count = connections.load(Ordering::SeqCst);
    assert!((2..12).contains(&count), "{count} connections in three seconds");
    assert!(core.ledger.lock().unfinished().is_empty());
    room.make_room();
    let begun = std::time::Instant::now();
    while core.ledger.lock().unfinished().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the act is taken when there is room");
        std::thread::sleep(Duration::from_millis(20));
    }
    core.halt.now();
    drop((collector, inspector));
    core.nudge(Nudge::Changed);
    linked.join().unwrap();
}
