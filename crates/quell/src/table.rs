//! Tables for people. Every cell is made harmless here, so that no caller can forget it.

use comfy_table::{ContentArrangement, Table, presets};

use crate::escape::printable;

/// Rows under a heading, without lines, as wide as the terminal.
pub(crate) fn rows<const N: usize>(
    heading: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = bare();
    table.set_header(heading.map(str::to_uppercase));
    for row in rows {
        table.add_row(row.map(|cell| printable(&cell).into_owned()));
    }
    trimmed(&table)
}

/// One thing: names and what they are.
pub(crate) fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut table = bare();
    for (name, value) in facts {
        table.add_row([name, &printable(&value)]);
    }
    trimmed(&table)
}

fn bare() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // Piped, lines are not broken: grep and cut see whole rows.
    if let Ok(size) = rustix::termios::tcgetwinsize(std::io::stdout())
        && size.ws_col > 0
    {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(size.ws_col);
    }
    table
}

fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_harmless_and_columns_line_up() {
        let text = rows(["path", "status"], [["/a\x1b[1m".into(), "ok".into()], ["/b".into(), "no".into()]]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].contains("/a\\u{1b}[1m"));
        assert_eq!(lines[1].find("ok"), lines[2].find("no"));
        assert_eq!(lines[0].find("STATUS"), lines[2].find("no"));
    }
}
