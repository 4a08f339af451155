//! Zip archives.

use super::*;

/// An archive with these entries, each empty; the first holds `content`, stored.
fn archive(names: &[&str], content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let content: &[u8] = if index == 0 { content } else { b"" };
        let at = bytes.len() as u32;
        let mut common = Vec::new();
        common.extend([20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        common.extend((content.len() as u32).to_le_bytes());
        common.extend((content.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend(name.as_bytes());
        bytes.extend(content);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let at = bytes.len() as u32;
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([(names.len() as u16).to_le_bytes(); 2].concat());
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(at.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

#[test]
fn names_of_the_entries_tell_the_kind() {
    let table: [(&[&str], FileType, Option<&str>); 16] = [
        (&["a.txt"], FileType::Zip, None),
        (&[], FileType::Zip, None),
        (&["META-INF/MANIFEST.MF", "A.class"], FileType::Jar, None),
        (&["A.class", "META-INF/MANIFEST.MF"], FileType::Jar, None),
        (&["META-INF/MANIFEST.MF", "WEB-INF/web.xml"], FileType::Jar, Some("War")),
        (&["META-INF/MANIFEST.MF", "META-INF/application.xml"], FileType::Jar, Some("Ear")),
        (&["META-INF/MANIFEST.MF", "AndroidManifest.xml", "classes.dex"], FileType::Apk, None),
        (&["[Content_Types].xml", "word/document.xml"], FileType::Office, Some("Word")),
        (&["[Content_Types].xml", "xl/workbook.xml"], FileType::Office, Some("Excel")),
        (&["[Content_Types].xml", "ppt/presentation.xml"], FileType::Office, Some("PowerPoint")),
        (&["word/document.xml"], FileType::Zip, None),
        (&["[Content_Types].xml", "extension.vsixmanifest"], FileType::Zip, Some("Vsix")),
        (&["[Content_Types].xml", "AppxManifest.xml"], FileType::Zip, Some("Appx")),
        (&["a/__init__.py", "a-1.dist-info/WHEEL"], FileType::Zip, Some("Wheel")),
        (&["[Content_Types].xml", "a.nuspec"], FileType::Zip, Some("NuGet")),
        (&["manifest.json", "META-INF/manifest.mf", "META-INF/mozilla.rsa"], FileType::Zip, Some("Xpi")),
    ];
    for (names, file_type, subtype) in table {
        assert_eq!(whole(&archive(names, b"")), (file_type, subtype), "{names:?}");
    }
}

#[test]
fn documents_that_say_what_they_are() {
    let of = |word: &str| whole(&archive(&["mimetype", "META-INF/manifest.xml"], word.as_bytes()));
    let text = of("application/vnd.oasis.opendocument.text");
    assert_eq!(text, (FileType::Office, Some("OpenDocumentText")));
    let template = of("application/vnd.oasis.opendocument.spreadsheet-template");
    assert_eq!(template, (FileType::Office, Some("OpenDocumentSpreadsheet")));
    assert_eq!(of("application/epub+zip"), (FileType::Zip, Some("Epub")));
    assert_eq!(of("application/else"), (FileType::Zip, None));
}

#[test]
fn a_comment_and_bytes_before_the_archive_hide_nothing() {
    let jar = archive(&["A.class", "META-INF/MANIFEST.MF"], b"");
    let mut commented = jar.clone();
    let end = commented.len();
    commented[end - 2..].copy_from_slice(&300_u16.to_le_bytes());
    commented.extend([b'x'; 300]);
    assert_eq!(whole(&commented), (FileType::Jar, None));
    // Offsets that count from a beginning which is no longer the file's.
    let moved = [b"PK\x03\x04".as_slice(), &[0; 40], &jar].concat();
    assert_eq!(whole(&moved), (FileType::Jar, None));
}

#[test]
fn long_archives_have_a_record_of_their_own() {
    let mut jar = archive(&["A.class", "META-INF/MANIFEST.MF"], b"");
    let end = jar.split_off(jar.len() - 22);
    let (length, at) = (&end[12..16], &end[16..20]);
    let record_at = jar.len() as u64;
    jar.extend(b"PK\x06\x06");
    jar.extend(44_u64.to_le_bytes());
    jar.extend([0; 28]);
    for number in [length, at] {
        jar.extend(number);
        jar.extend([0; 4]);
    }
    jar.extend(b"PK\x06\x07\0\0\0\0");
    jar.extend(record_at.to_le_bytes());
    jar.extend([1, 0, 0, 0]);
    let mut marked = end.clone();
    marked[12..20].fill(0xff);
    jar.extend(&marked);
    assert_eq!(whole(&jar), (FileType::Jar, None));
}

#[test]
fn lying_numbers_cost_no_more_than_a_bounded_read() {
    let jar = archive(&["A.class", "META-INF/MANIFEST.MF"], b"");
    for end in 0..jar.len() {
        whole(&jar[..end]);
    }
    for at in jar.len() - 22..jar.len() {
        for byte in [0, 1, 0x7f, 0xff] {
            let mut changed = jar.clone();
            changed[at] = byte;
            whole(&changed);
        }
    }
    let names = vec!["x"; 65_535];
    let mut many = archive(&names, b"");
    assert_eq!(whole(&many), (FileType::Zip, None));
    let at = many.len() - 10;
    many[at..at + 4].fill(0xfe);
    assert_eq!(whole(&many), (FileType::Zip, None));
}
