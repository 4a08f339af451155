//! The text of `/proc/self/mountinfo`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::Mount;

/// `None` when any line cannot be understood: half a table would leave a filesystem unguarded in silence.
pub(super) fn parse(text: &[u8]) -> Option<Vec<Mount>> {
    text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).map(parse_line).collect()
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&byte| byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let (major, minor) = str::from_utf8(fields.next()?).ok()?.split_once(':')?;
    let root = path(fields.next()?);
    let point = path(fields.next()?);
    let mount_options = fields.next()?;
    // Any number of optional fields, none of which is a lone dash.
    fields.find(|field| *field == b"-")?;
    let filesystem = String::from_utf8_lossy(fields.next()?);
    let _source = fields.next()?;
    let filesystem_options = fields.next()?;

    let read_only_filesystem = is_read_only(filesystem_options);
    Some(Mount {
        id,
        parent,
        device: rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?),
        root,
        point,
        filesystem: filesystem.split('.').next()?.to_owned(),
        options: [mount_options, filesystem_options].map(String::from_utf8_lossy).join(","),
        read_only: is_read_only(mount_options) || read_only_filesystem,
        read_only_filesystem,
    })
}

fn number(field: &[u8]) -> Option<u64> {
    str::from_utf8(field).ok()?.parse().ok()
}

fn is_read_only(options: &[u8]) -> bool {
    options.split(|&byte| byte == b',').any(|option| option == b"ro")
}

/// Undoes the kernel's escapes: blank, tab, newline, backslash and `#` stand as `\ooo`.
pub(super) fn path(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    loop {
        rest = match rest {
            [] => break,
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] => {
                bytes.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
                tail
            }
            [byte, tail @ ..] => {
                bytes.push(*byte);
                tail
            }
        };
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn an_ordinary_line() {
        let text = b"36 35 98:3 /mnt1 /mnt2 ro,noatime master:1 propagate_from:2 - ext3 /dev/root rw,errors=continue\n";
        let mount = Mount {
            id: 36,
            parent: 35,
            device: (98 << 8) | 3,
            root: "/mnt1".into(),
            point: "/mnt2".into(),
            filesystem: "ext3".into(),
            options: "ro,noatime,rw,errors=continue".into(),
            read_only: true,
            read_only_filesystem: false,
        };
        assert_eq!(parse(text), Some(vec![mount]));
        assert_eq!(parse(b""), Some(vec![]));
    }

    #[test]
    fn paths_of_every_kind() {
        let cases: [(&[u8], &[u8]); 8] = [
            (b"/a\\040b", b"/a b"),
            (b"/a\\011b\\012c\\134d\\043e", b"/a\tb\nc\\d#e"),
            (b"/\xff\xfe", b"/\xff\xfe"),
            (b"/\\377", b"/\xff"),
            (b"/a\\", b"/a\\"),
            (b"/a\\04", b"/a\\04"),
            (b"/a\\400", b"/a\\400"),
            (b"/a\\134040", b"/a\\040"),
        ];
        for (written, meant) in cases {
            let line = [b"1 0 0:5 / ", written, b" rw - tmpfs none rw"].concat();
            let mounts = parse(&line).unwrap();
            assert_eq!(mounts[0].point.as_os_str(), OsStr::from_bytes(meant));
        }
    }

    #[test]
    fn sources_and_types_of_every_kind() {
        let type_of = |line: &[u8]| parse(line).map(|mounts| mounts[0].filesystem.clone());
        assert_eq!(type_of(b"1 0 0:5 / /x rw - fuse.sshfs a:b rw").as_deref(), Some("fuse"));
        assert_eq!(type_of(b"1 0 0:5 / /x rw - tmpfs  rw").as_deref(), Some("tmpfs"), "no source");
        assert_eq!(type_of(b"1 0 0:5 / /- rw shared:1 - ext4 - rw").as_deref(), Some("ext4"));
    }

    #[test]
    fn a_line_of_unknown_form_spoils_the_table() {
        let good = b"1 0 0:5 / /x rw - tmpfs none rw";
        for end in 1..good.len() - 2 {
            assert_eq!(parse(&good[..end]), None, "{:?}", String::from_utf8_lossy(&good[..end]));
        }
        for bad in
            [&b"x 0 0:5 / /x rw - tmpfs none rw"[..], b"1 0 5 / /x rw - tmpfs none rw", b"1 0 0:5 / /x rw"]
        {
            assert_eq!(parse(&[&good[..], b"\n", bad].concat()), None);
        }
    }
}
