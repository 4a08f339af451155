use std::io::Cursor;

use model::{Digest, Md5, Sha1, Sha256};
use proptest::prelude::*;

use super::*;

fn md5(number: u8) -> String {
    Md5([number; 16]).to_string()
}

fn sha1(number: u8) -> String {
    Sha1([number; 20]).to_string()
}

fn sha256(number: u8) -> String {
    Sha256([number; 32]).to_string()
}

fn long(number: u8) -> Digest {
    Digest::Sha256(Sha256([number; 32]))
}

fn middle(number: u8) -> Digest {
    Digest::Sha1(Sha1([number; 20]))
}

fn short(number: u8) -> Digest {
    Digest::Md5(Md5([number; 16]))
}

fn all(text: impl AsRef<[u8]>, format: Option<Format>) -> Result<(Format, Vec<Digest>, Tally), Unread> {
    let mut digests = Vec::new();
    let (format, tally) = read(Cursor::new(text.as_ref()), format, &mut |digest| {
        digests.push(digest);
        Ok(())
    })?;
    assert_eq!(tally.taken, digests.len() as u64);
    Ok((format, digests, tally))
}

/// What is in it, and as what it was read.
fn found(text: impl AsRef<[u8]>) -> (Format, Vec<Digest>) {
    let (format, digests, tally) = all(text, None).unwrap();
    assert_eq!((tally.refused, tally.problems), (0, Vec::new()));
    (format, digests)
}

#[test]
fn plain_lists_as_tools_print_them() {
    let text = format!(
        "\u{feff}# a comment\n{}\n\n{}  /opt/a b\r\n{}\n\\{} *odd\\nname\nSHA256 (a (b) = c) = {}\n; end\n{}",
        sha256(1),
        sha1(2).to_uppercase(),
        md5(3),
        sha256(4),
        sha256(5),
        sha256(6)
    );
    let expected = vec![long(1), middle(2), short(3), long(4), long(5), long(6)];
    assert_eq!(found(text), (Format::Plain, expected));
    assert_eq!(found(""), (Format::Plain, vec![]));
}

#[test]
fn tables_by_their_heading_and_without_one() {
    let with = format!(
        "First Seen;md5_hash;SHA-256;imphash\n2020;{};{};{}\n2021;\"{}\";;x\n",
        md5(1),
        sha256(1),
        md5(9),
        md5(2)
    );
    assert_eq!(found(with), (Format::Csv, vec![long(1), short(2)]), "the longest, and not the imphash");
    let without = format!("7,{},{},evil\n8,{},,worse\n", md5(1), sha1(1), md5(2));
    assert_eq!(found(without), (Format::Csv, vec![middle(1), short(2)]));
    // As abuse.ch does: the heading is a comment, and blanks stand before the quotes.
    let commented = format!(
        "#####\n# Malware, of today #\n# \"first_seen\",\"sha256_hash\",\"md5_hash\"\n\"2020\", \"{}\", \"{}\"\n# 1 line\n",
        sha256(1),
        md5(1)
    );
    assert_eq!(found(commented), (Format::Csv, vec![long(1)]));
    let unnamed = format!("IndicatorType,IndicatorValue\nFileSha1,{}\n", sha1(1));
    assert_eq!(found(unnamed), (Format::Csv, vec![middle(1)]), "a heading that names no digest");
    assert_eq!(found(format!("sha256\n{}\n", sha256(1))), (Format::Csv, vec![long(1)]));
}

#[test]
fn the_nsrl_as_it_is_published() {
    let text = format!(
        "\"SHA-1\",\"MD5\",\"CRC32\",\"FileName\",\"FileSize\",\"ProductCode\",\"OpSystemCode\",\"SpecialCode\"\n\
         \"{}\",\"{}\",\"7A5407CA\",\"wow64, \"\"x\"\".manifest\",718,190718,\"362\",\"\"\n",
        sha1(1).to_uppercase(),
        md5(1)
    );
    let (_, digests, _) = all(&text, Some(Format::Nsrl)).unwrap();
    assert_eq!(digests, [middle(1)]);
    assert_eq!(found(text), (Format::Csv, vec![middle(1)]));
    let headless = format!("\"{}\",\"{}\"\n", sha1(1), md5(1));
    let error = all(headless, Some(Format::Nsrl)).unwrap_err();
    assert!(matches!(error, Unread::Broken { line: 1, .. }), "{error}");
}

#[test]
fn json_in_arrays_lines_and_one_after_the_other() {
    let array =
        format!("[\n {{\"SHA256\": \"{}\", \"md5\": \"{}\"}},\n \"{}\"\n]", sha256(1), md5(1), sha1(2));
    assert_eq!(found(array), (Format::Json, vec![long(1), middle(2)]));
    let lines = format!(
        "{{\"file\":{{\"hashes\":{{\"sha-256\":\"{}\"}}}}}}\n\n{{\"md5_hash\":\"{}\",\"sha1\":\"\"}}\n",
        sha256(1),
        md5(2)
    );
    assert_eq!(found(lines), (Format::Json, vec![long(1), short(2)]));
    let pretty = format!("{{\n\"md5\": \"{}\"\n}}\n{{\n\"md5\": \"{}\"\n}}\n", md5(1), md5(2));
    assert_eq!(found(pretty), (Format::Json, vec![short(1), short(2)]));
}

#[test]
fn of_long_texts_and_keys_in_objects_nothing_is_kept() {
    let long_text = " ".repeat(1 << 16);
    let text = format!(
        "[{{\"sha256\":\"{}{long_text}\",\"sha1\":\"{}\"}},{{\"{long_text}\":{{\"md5\":\"{}\"}}}}]",
        sha256(1),
        sha1(2),
        md5(3)
    );
    assert_eq!(found(text), (Format::Json, vec![middle(2), short(3)]));
}

#[test]
fn what_misp_exports() {
    let list = format!(
        "{{\"name\":\"Known empty files\",\"type\":\"string\",\"version\":3,\"matching_attributes\":[\"md5\",\"sha256\"],\
         \"list\":[\"{}\",\"{}\"]}}",
        md5(1),
        sha256(2)
    );
    assert_eq!(found(list), (Format::Json, vec![short(1), long(2)]));
    let event = format!(
        r#"{{"response":[{{"Event":{{"uuid":"x","Attribute":[
            {{"type":"sha256","value":"{}","to_ids":true,"deleted":false}},
            {{"type":"filename|sha256","value":"a|b.exe|{}","to_ids":true}},
            {{"type":"ip-dst","value":"192.0.2.1","to_ids":true}},
            {{"type":"md5","value":"{}","to_ids":false}},
            {{"type":"md5","value":"{}","to_ids":true,"deleted":true}}],
          "Object":[{{"name":"file","Attribute":[
            {{"type":"malware-sample","value":"x|{}","to_ids":true}}]}}]}}}}]}}"#,
        sha256(1),
        sha256(2),
        md5(3),
        md5(4),
        md5(5)
    );
    let (_, digests, tally) = all(event, Some(Format::Misp)).unwrap();
    assert_eq!(digests, [long(1), long(2), short(5)]);
    assert_eq!((tally.skipped, tally.refused), (2, 0), "context and what was deleted are no indicators");
}

#[test]
fn what_is_broken_is_counted_and_the_first_ten_are_named() {
    let rubbish = "no digest at all\n".repeat(30);
    let text = format!("{}\n{rubbish}{}\n", sha256(1), sha256(2));
    let (_, digests, tally) = all(text, None).unwrap();
    assert_eq!(digests, [long(1), long(2)]);
    assert_eq!((tally.refused, tally.problems.len()), (30, 10));
    assert_eq!((tally.problems[0].line, tally.problems[9].line), (2, 11));

    let table = format!(
        "sha256,md5\n{},\n\"open,{}\n,{}\n{},x\n{}\n",
        sha1(1),
        sha256(2),
        md5(3),
        sha256(4),
        "a".repeat(70_000)
    );
    let (_, digests, tally) = all(table, None).unwrap();
    assert_eq!(digests, [short(3), long(4)], "an open quote costs its own line");
    let lines: Vec<_> = tally.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [2, 3, 6]);

    let lines =
        format!("{{\"md5\":\"{}\"}}\n{{\"md5\":\n{{\"a\":1}}\n{{\"md5\":\"{}\"}}\n7\n", md5(1), md5(2));
    let (_, digests, tally) = all(lines, None).unwrap();
    assert_eq!(digests, [short(1), short(2)]);
    assert_eq!(tally.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [2, 3, 5]);

    let array = format!("[\n7,\n\"{}\",\n{{}},\n\"zz\"\n]", md5(1));
    let (_, digests, tally) = all(array, None).unwrap();
    assert_eq!(digests, [short(1)]);
    assert_eq!(tally.refused, 3);
}

#[test]
fn what_makes_no_sense_as_a_whole_ends_it() {
    let broken = |text: &[u8]| match all(text, None) {
        Err(Unread::Broken { line, why }) => (line, why),
        other => panic!("{other:?}"),
    };
    assert_eq!(broken(b"[\n\"a\",\n").0, 3, "cut off");
    assert!(broken(b"\xFF\xFEa\0").1.contains("UTF-16"));
    assert!(broken(b"\x1F\x8B\x08").1.contains("packed"));
    let endless = format!("[\"{}\"]", "a".repeat(3 << 20));
    assert!(broken(endless.as_bytes()).1.contains("1 MiB"));
    assert!(broken(&b"[".repeat(100_000)).1.contains("recursion"));
    // Binary rubbish is broken lines and no more.
    let rubbish: Vec<u8> =
        (0..200_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8 | 0x80).collect();
    for format in [Format::Plain, Format::Csv] {
        let (_, digests, _) = all(&rubbish, Some(format)).unwrap();
        assert_eq!(digests, []);
    }
}

#[test]
fn what_breaks_off_is_told_apart_from_what_cannot_be_taken() {
    struct Gone;
    impl Read for Gone {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    for beginning in ["", "[\n\"a\"", "{\"a\":1}\n{\"a\":1}\n", "sha256,md5\n"] {
        // Past the beginning that is looked at.
        let beginning = format!("{beginning}{}", "\n".repeat(100_000));
        let input = Cursor::new(beginning.clone()).chain(Gone);
        let error = read(input, None, &mut |_| Ok(())).unwrap_err();
        assert!(matches!(error, Unread::Input(_)), "{error} after {:?}", &beginning[..10]);
    }
    for text in [sha256(1), format!("[\"{}\"]", md5(1)), format!("{{\"md5\":\"{}\"}}", md5(1))] {
        let error =
            read(Cursor::new(text), None, &mut |_| Err(io::ErrorKind::StorageFull.into())).unwrap_err();
        assert!(matches!(error, Unread::Taken(_)), "{error}");
    }
}

/// Pieces of all forms, so that what is made of them is often nearly right.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<Vec<u8>> = [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\n",
        "\r\n",
        ";",
        "\t",
        "#",
        "|",
        "\\",
        " = ",
        "\\u12",
        "null",
        "-1e9",
        "true",
        "\"list\"",
        "\"type\"",
        "\"value\"",
        "\"sha256\"",
        "\"to_ids\":false",
        "SHA-1",
        "md5_hash",
        "sha256",
        "\u{feff}",
    ]
    .iter()
    .map(|word| word.as_bytes().to_vec())
    .chain([md5(1).into_bytes(), sha1(2).into_bytes(), sha256(3).into_bytes()])
    .collect();
    let word = prop_oneof![4 => prop::sample::select(words), 1 => prop::collection::vec(any::<u8>(), 0..6)];
    prop::collection::vec(word, 0..80).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..Default::default() })]
    #[test]
    fn whatever_comes_is_read_or_refused(text in pieces(), number in 0..=Format::ALL.len()) {
        let format = Format::ALL.get(number).copied();
        // Two of the short ones beside each other look like a long one.
        let known = [short(1), middle(2), long(3), long(1)];
        if let Ok((read_as, digests, tally)) = all(&text, format) {
            prop_assert!(format.is_none_or(|format| format == read_as));
            prop_assert!(digests.iter().all(|digest| known.contains(digest)), "a digest that nobody wrote");
            prop_assert_eq!(tally.problems.len() as u64, tally.refused.min(10));
        }
    }
}
