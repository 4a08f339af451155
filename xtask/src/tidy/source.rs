//! Rust source in lines, with comments and strings told apart from code: enough for the checks, no parser.

/// A line.
pub(super) struct Line {
    /// From 1.
    pub(super) number: usize,
    /// Without comments, and strings emptied.
    pub(super) code: String,
    /// Without comments.
    pub(super) spoken: String,
    /// Whether it belongs to an item under `#[cfg(test)]`.
    pub(super) test: bool,
}

/// The lines of a file.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let (code, spoken) = strip(text);
    let mut lines: Vec<Line> = code
        .split('\n')
        .zip(spoken.split('\n'))
        .zip(1..)
        .map(|((code, spoken), number)| Line {
            number,
            code: code.to_owned(),
            spoken: spoken.to_owned(),
            test: false,
        })
        .collect();
    if text.ends_with('\n') {
        lines.pop();
    }
    mark_tests(&mut lines);
    lines
}

/// Whether `name` stands in `code` as a whole word.
pub(super) fn has_word(code: &str, name: &str) -> bool {
    let part_of_name = |neighbour: char| neighbour.is_alphanumeric() || neighbour == '_';
    code.match_indices(name).any(|(start, _)| {
        let before = code[..start].chars().next_back();
        let after = code[start + name.len()..].chars().next();
        !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
    })
}

#[derive(Clone, Copy)]
enum Part {
    Code,
    LineComment,
    BlockComment(usize),
    Text,
    RawText(usize),
}

/// The text without comments and strings, and the text without comments; both keep the line breaks.
fn strip(text: &str) -> (String, String) {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut spoken) = (String::new(), String::new());
    let mut part = Part::Code;
    let mut index = 0;
    while index < chars.len() {
        let rest = &chars[index..];
        let (next, length) = step(part, rest, index.checked_sub(1).map(|before| chars[before]));
        for &char in &rest[..length] {
            let in_text = matches!(part, Part::Text | Part::RawText(_));
            let quote = in_text && matches!(next, Part::Code);
            let is_code = matches!((part, next), (Part::Code, Part::Code | Part::Text | Part::RawText(_)));
            if char == '\n' || is_code || quote {
                code.push(char);
            }
            if char == '\n' || is_code || in_text {
                spoken.push(char);
            }
        }
        part = next;
        index += length;
    }
    (code, spoken)
}

/// What follows `part` at `rest`, and how many characters still belong to `part`'s side of the border.
fn step(part: Part, rest: &[char], before: Option<char>) -> (Part, usize) {
    let second = rest.get(1);
    match (part, rest[0]) {
        (Part::Code, '/') if second == Some(&'/') => (Part::LineComment, 2),
        (Part::Code, '/') if second == Some(&'*') => (Part::BlockComment(1), 2),
        (Part::Code, '"') => (Part::Text, 1),
        (Part::Code, 'r')
            if !before.is_some_and(|char| char.is_alphanumeric() && !matches!(char, 'b' | 'c')) =>
        {
            let hashes = rest[1..].iter().take_while(|char| **char == '#').count();
            match rest.get(1 + hashes) {
                Some('"') => (Part::RawText(hashes), 2 + hashes),
                _ => (Part::Code, 1),
            }
        }
        (Part::Code, '\'') => (Part::Code, char_length(rest)),
        (Part::LineComment, '\n') => (Part::Code, 1),
        (Part::BlockComment(depth), '*') if second == Some(&'/') => match depth {
            1 => (Part::Code, 2),
            _ => (Part::BlockComment(depth - 1), 2),
        },
        (Part::BlockComment(depth), '/') if second == Some(&'*') => (Part::BlockComment(depth + 1), 2),
        (Part::Text, '\\') => (Part::Text, rest.len().min(2)),
        (Part::Text, '"') => (Part::Code, 1),
        (Part::RawText(hashes), '"') if closes(&rest[1..], hashes) => (Part::Code, 1 + hashes),
        _ => (part, 1),
    }
}

fn closes(rest: &[char], hashes: usize) -> bool {
    rest.len() >= hashes && rest[..hashes].iter().all(|char| *char == '#')
}

/// The length of a character literal, or 1 for the mark of a lifetime.
fn char_length(rest: &[char]) -> usize {
    match (rest.get(1), rest.get(2)) {
        (Some('\\'), Some(_)) => {
            rest[3..].iter().position(|char| *char == '\'').map_or(rest.len(), |end| end + 4)
        }
        (Some(_), Some('\'')) => 3,
        _ => 1,
    }
}

/// Marks the items under `#[cfg(test)]`: from the attribute to the end of the braces, or to the semicolon.
fn mark_tests(lines: &mut [Line]) {
    let mut depth: Option<usize> = None;
    let mut whole = false;
    for line in lines {
        let code = line.code.trim_start();
        whole |= code.starts_with("#![cfg(test)]");
        let begins =
            depth.is_none() && (code.starts_with("#[cfg(test)]") || code.starts_with("#[cfg(all(test"));
        let mut rest = code;
        if begins {
            depth = Some(0);
            rest = code.split_once(']').map_or("", |(_, rest)| rest);
        }
        line.test = whole || depth.is_some();
        if let Some(open) = depth {
            depth = after(open, rest);
        }
    }
}

/// The depth after a line of a test item; nothing once the item has ended.
fn after(mut depth: usize, code: &str) -> Option<usize> {
    for char in code.chars() {
        match char {
            '{' => depth += 1,
            '}' if depth <= 1 => return None,
            '}' => depth -= 1,
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    Some(depth)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Vec<String> {
        lines(text).into_iter().map(|line| line.code.trim_end().to_owned()).collect()
    }

    #[test]
    fn comments_and_strings_are_no_code() {
        assert_eq!(code("a(); // unsafe\n/* x /* y */ z */ b();\n"), ["a();", " b();"]);
        assert_eq!(code(r#"say("un\"safe");"#), [r#"say("");"#]);
        assert_eq!(code("let x = r#\"a \"quoted\" one\"#;"), ["let x = r#\"\"#;"]);
        assert_eq!(code("let x = \"one\n// two\";\nthree();"), ["let x = \"", "\";", "three();"]);
    }

    #[test]
    fn quotes_of_characters_and_lifetimes_open_nothing() {
        assert_eq!(code("f::<'a>('\"', '\\'', '\\u{22}'); // x"), ["f::<'a>('\"', '\\'', '\\u{22}');"]);
    }

    #[test]
    fn strings_stay_in_what_is_spoken() {
        assert_eq!(lines("q(\"SELECT 1\"); // SELECT 2")[0].spoken.trim_end(), "q(\"SELECT 1\");");
    }

    #[test]
    fn test_items_are_marked() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() { \"}\"; }\n}\nfn c() {}\n#[cfg(test)]\nuse x::{y};\nfn d() {}\n#[cfg(test)]\nmod e;\nfn f() {}\n";
        let shipped: Vec<usize> =
            lines(text).iter().filter(|line| !line.test).map(|line| line.number).collect();
        assert_eq!(shipped, [1, 6, 9, 12]);
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("unsafe { x }", "unsafe") && has_word("a::unsafe", "unsafe"));
        assert!(!has_word("forbid(unsafe_code)", "unsafe") && !has_word("notunsafe", "unsafe"));
    }
}
