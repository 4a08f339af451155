//! Bytes and files between processes.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, PermissionsExt};

use sys::socket::{self, Kind, MAX_FILES, Received};

#[test]
fn files_travel_with_bytes() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), b"content").unwrap();
    let file = File::open(dir.path().join("file")).unwrap();
    for kind in [Kind::Packets, Kind::Stream] {
        let (here, there) = socket::pair(kind).unwrap();
        assert_eq!(socket::send(here.as_fd(), b"two", &[file.as_fd(), file.as_fd()], false).unwrap(), 3);
        let (mut bytes, mut slots) = ([0; 8], [const { None }; 4]);
        let received = socket::receive(there.as_fd(), &mut bytes, &mut slots).unwrap();
        assert_eq!(received, Received { length: 3, files: 2, truncated: false });
        assert_eq!(&bytes[..3], b"two");
        let [Some(first), Some(second), None, None] = slots else { panic!("two files") };
        assert!(rustix::io::fcntl_getfd(&first).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        assert_eq!(socket::read_all(first.as_fd()).unwrap(), b"content");
        assert_eq!(socket::read_all(second.as_fd()).unwrap(), b"content");
        drop(here);
        assert_eq!(socket::receive(there.as_fd(), &mut bytes, &mut []).unwrap().length, 0);
    }
}

#[test]
fn what_does_not_fit_is_said_and_closed() {
    let (here, there) = socket::pair(Kind::Packets).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    socket::send(here.as_fd(), b"long packet", &[writer.as_fd(); 3], false).unwrap();
    drop(writer);
    let (mut bytes, mut slots) = ([0; 4], [None]);
    let received = socket::receive(there.as_fd(), &mut bytes, &mut slots).unwrap();
    assert_eq!(received, Received { length: 4, files: 1, truncated: true });
    drop(slots);
    assert_eq!({ reader }.read(&mut [0]).unwrap(), 0, "no writer is left open");

    let many: Vec<BorrowedFd<'_>> = vec![here.as_fd(); MAX_FILES + 1];
    let error = socket::send(here.as_fd(), b"x", &many, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    socket::send(here.as_fd(), b"x", &many[1..], false).unwrap();
}

#[test]
fn a_full_socket_is_said_and_a_closed_one_raises_no_signal() {
    let (here, there) = socket::pair(Kind::Packets).unwrap();
    socket::set_send_buffer(here.as_fd(), 16 * 1024).unwrap();
    let full = (0..10_000).find_map(|_| socket::send(here.as_fd(), &[7; 1024], &[], true).err());
    assert_eq!(full.unwrap().kind(), ErrorKind::WouldBlock);
    drop(there);
    let error = socket::send(here.as_fd(), b"x", &[], true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "what was not received is lost");
    let error = socket::send(here.as_fd(), b"x", &[], true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_listener_is_private_and_knows_who_calls() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = socket::listen(&path, Kind::Packets).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let client = socket::connect(&path, Kind::Packets).unwrap();
    let served = socket::accept(listener.as_fd()).unwrap();
    assert_eq!(socket::peer_uid(served.as_fd()).unwrap(), rustix::process::getuid().as_raw());
    assert_eq!(socket::peer_pid(served.as_fd()).unwrap(), std::process::id().cast_signed());
    socket::send(client.as_fd(), b"hello", &[], false).unwrap();
    let mut bytes = [0; 8];
    assert_eq!(socket::receive(served.as_fd(), &mut bytes, &mut []).unwrap().length, 5);
}

#[test]
fn a_stale_socket_is_replaced_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let first = socket::listen(&path, Kind::Stream).unwrap();
    for kind in [Kind::Stream, Kind::Packets] {
        assert_eq!(socket::listen(&path, kind).unwrap_err().kind(), ErrorKind::AddrInUse);
    }
    drop(first);
    socket::listen(&path, Kind::Packets).unwrap();

    let file = dir.path().join("file");
    fs::write(&file, b"precious").unwrap();
    assert_eq!(socket::listen(&file, Kind::Stream).unwrap_err().kind(), ErrorKind::AddrInUse);
    assert_eq!(fs::read(&file).unwrap(), b"precious");
}

#[test]
fn a_sealed_memfd_holds_and_never_changes() {
    let fd = socket::memfd_sealed("test", b"some bytes").unwrap();
    assert_eq!(socket::read_all(fd.as_fd()).unwrap(), b"some bytes");
    let file = File::from(fd);
    assert_eq!(file.write_at(b"x", 0).unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(file.set_len(3).unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(socket::read_all(file.as_fd()).unwrap(), b"some bytes");
    assert_eq!(socket::read_all(socket::memfd_sealed("", b"").unwrap().as_fd()).unwrap(), b"");
}
