//! Scripts: what their first line says, or the signature block that Windows puts behind them.

use std::io;

use crate::source::Source;

/// The kernel reads no more of a first line.
const LONGEST_LINE: usize = 255;
/// A signature block is no longer.
const TAIL: u64 = 64 * 1024;
/// How each language makes the beginning of a signature block a comment.
const BLOCKS: [(&str, &str); 3] = [
    ("# SIG # Begin signature block", "PowerShell"),
    ("// SIG // Begin signature block", "JavaScript"),
    ("'' SIG '' Begin signature block", "VbScript"),
];

/// What an interpreter line says, without its marks and blanks; none if there is none that the kernel would follow.
pub(super) fn interpreter(head: &[u8]) -> Option<String> {
    let rest = head.strip_prefix(b"#!")?;
    let line = rest.split(|byte| matches!(byte, b'\n' | b'\r' | 0)).next()?;
    let line = line.get(..LONGEST_LINE).unwrap_or(line).trim_ascii();
    line.starts_with(b"/").then(|| String::from_utf8_lossy(line).into_owned())
}

/// The language of a script with this interpreter line.
pub(super) fn language(line: &str) -> Option<&'static str> {
    let mut words = line.split_ascii_whitespace();
    let name = base(words.next()?);
    let name = if name == "env" {
        base(words.find(|word| !word.starts_with('-') && !word.contains('='))?)
    } else {
        name
    };
    let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || matches!(letter, '.' | '-'));
    Some(match stem {
        "sh" | "bash" | "dash" | "zsh" | "ksh" | "mksh" | "ash" | "fish" | "csh" | "tcsh" => "Shell",
        "python" | "pypy" => "Python",
        "perl" => "Perl",
        "ruby" => "Ruby",
        "node" | "nodejs" | "deno" | "bun" => "JavaScript",
        "php" => "Php",
        "pwsh" | "powershell" => "PowerShell",
        "lua" | "luajit" => "Lua",
        "awk" | "gawk" | "mawk" => "Awk",
        "tclsh" | "wish" | "expect" => "Tcl",
        "Rscript" => "R",
        _ => return None,
    })
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The language of a file that ends in a signature block, in bytes or in UTF-16.
pub(super) fn signed(source: &dyn Source) -> io::Result<Option<&'static str>> {
    let tail = source.piece(source.size().saturating_sub(TAIL), TAIL as usize)?;
    // Most files that are no text are told apart by one look.
    let holds = |mark: &[u8]| memchr::memmem::find(&tail, mark).is_some();
    let wide = |mark: &str| mark.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let found = BLOCKS.iter().find(|(mark, _)| holds(mark.as_bytes()) || holds(&wide(mark)));
    Ok(found.map(|(_, language)| *language))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_interpreter_and_language() {
        let table: [(&[u8], Option<&str>, Option<&str>); 11] = [
            (b"#!/bin/sh\necho", Some("/bin/sh"), Some("Shell")),
            (b"#! \t/usr/bin/env python3 \r\n", Some("/usr/bin/env python3"), Some("Python")),
            (b"#!/usr/bin/env -S A=1 node --x\n", Some("/usr/bin/env -S A=1 node --x"), Some("JavaScript")),
            (b"#!/usr/bin/python3.11", Some("/usr/bin/python3.11"), Some("Python")),
            (b"#!/usr/bin/perl -w\n", Some("/usr/bin/perl -w"), Some("Perl")),
            (b"#!/opt/own\n", Some("/opt/own"), None),
            (b"#!/usr/bin/env\n", Some("/usr/bin/env"), None),
            (b"#!/\xff\n", Some("/\u{fffd}"), None),
            (b"#!sh\n", None, None),
            (b"#!\n/bin/sh", None, None),
            (b"#!", None, None),
        ];
        for (head, line, expected) in table {
            let found = interpreter(head);
            assert_eq!(found.as_deref(), line, "{head:?}");
            assert_eq!(found.as_deref().and_then(language), expected, "{head:?}");
        }
        let long = [b"#!/".as_slice(), &[b'a'; 5_000]].concat();
        assert_eq!(interpreter(&long).unwrap().len(), LONGEST_LINE);
    }

    #[test]
    fn a_signature_block_makes_a_script() {
        let text =
            "Write-Host 1\r\n# SIG # Begin signature block\r\n# MII\r\n# SIG # End signature block\r\n";
        assert_eq!(signed(&text.as_bytes()).unwrap(), Some("PowerShell"));
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(signed(&wide.as_slice()).unwrap(), Some("PowerShell"));
        assert_eq!(signed(&b"x\r\n'' SIG '' Begin signature block".as_slice()).unwrap(), Some("VbScript"));
        assert_eq!(signed(&b"# SIG".as_slice()).unwrap(), None);
        assert_eq!(signed(&b"".as_slice()).unwrap(), None);
    }
}
