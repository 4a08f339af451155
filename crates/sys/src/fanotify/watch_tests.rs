use super::*;
use crate::fanotify::event::encode;

fn info(kind: u8, handle: &[u8], name: &[u8]) -> Vec<u8> {
    let mut body = Vec::from(*b"\x01\x02\x03\x04\x05\x06\x07\x08");
    body.extend((handle.len() as u32).to_ne_bytes());
    body.extend(1_i32.to_ne_bytes());
    body.extend(handle);
    body.extend(name);
    let mut bytes = vec![kind, 0];
    bytes.extend((4 + body.len() as u16).to_ne_bytes());
    bytes.extend(body);
    bytes
}

fn read(bytes: &[u8]) -> Vec<WatchEvent<'_>> {
    WatchEvents { records: Records::new(bytes) }.collect()
}

#[test]
fn a_change_is_told_by_directory_and_name() {
    let infos = [info(1, b"another kind", b""), info(2, b"inode7", b"a.out\0\0\0")].concat();
    let bytes = encode(libc::FAN_CLOSE_WRITE | libc::FAN_CREATE, libc::FAN_NOFD, 42, &infos);
    let [WatchEvent::Change { what, fsid, dir, name, pid }] = &read(&bytes)[..] else { panic!("one change") };
    assert!(what.closed_write() && what.created());
    assert!(!what.deleted() && !what.executed() && !what.is_dir());
    assert_eq!((*fsid, *pid), ([1, 2, 3, 4, 5, 6, 7, 8], 42));
    assert_eq!(*dir, FileHandle::from_parts(1, b"inode7").unwrap());
    assert_eq!(*name, "a.out");
}

#[test]
fn what_cannot_be_told_is_told_as_lost() {
    let good = info(2, b"inode7", b"name\0");
    let spoil = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    };
    let cases = [
        ("no information", Vec::new()),
        ("no name", info(3, b"inode7", b"")),
        ("empty name", info(2, b"inode7", b"\0\0\0\0")),
        ("name without end", info(2, b"inode7", b"name")),
        ("name that leads away", info(2, b"inode7", b"../etc\0")),
        ("handle longer than any", info(2, &[7; 129], b"name\0")),
        ("handle past the end", spoil(12, &200_u32.to_ne_bytes())),
        ("handle length of all ones", spoil(12, &u32::MAX.to_ne_bytes())),
        ("information past the end", spoil(2, &200_u16.to_ne_bytes())),
        ("information of length zero", spoil(2, &0_u16.to_ne_bytes())),
        ("stray bytes", vec![2, 0]),
    ];
    for (name, infos) in cases {
        let bytes = encode(libc::FAN_CREATE, libc::FAN_NOFD, 42, &infos);
        assert_eq!(read(&bytes), [WatchEvent::Overflow], "{name}");
    }
    assert_eq!(read(&encode(libc::FAN_Q_OVERFLOW, libc::FAN_NOFD, 0, &[])), [WatchEvent::Overflow]);
}

#[test]
fn no_spoiled_byte_leads_out_of_the_buffer() {
    let event = encode(libc::FAN_CREATE, libc::FAN_NOFD, 42, &info(2, b"inode7", b"name\0"));
    let bytes = [event.clone(), event].concat();
    for at in 0..bytes.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut spoiled = bytes.clone();
            spoiled[at] = value;
            assert!(read(&spoiled).len() <= 2);
            read(&spoiled[..at]);
        }
    }
}
