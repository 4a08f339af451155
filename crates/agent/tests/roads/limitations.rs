//! The table that people read, as LIMITATIONS.md holds it.

use std::fs;
use std::path::Path;

use crate::level::Level;
use crate::table::{Expected, ROADS, Road};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../LIMITATIONS.md");
const BEGIN: &str = "<!-- roads:begin -->\n";
const END: &str = "<!-- roads:end -->\n";

#[test]
fn the_page_holds_the_table() {
    if !Path::new(PAGE).is_file() {
        println!("not run: LIMITATIONS.md is not here");
        return;
    }
    let page = fs::read_to_string(PAGE).unwrap();
    let (head, rest) = page.split_once(BEGIN).expect("a mark for the table's beginning");
    let (_, tail) = rest.split_once(END).expect("a mark for the table's end");
    let blessed = [head, BEGIN, &table(), END, tail].concat();
    if std::env::var_os("QUELL_BLESS").is_some() {
        fs::write(PAGE, &blessed).unwrap();
    }
    let is_same = fs::read_to_string(PAGE).unwrap() == blessed;
    assert!(is_same, "LIMITATIONS.md differs from tests/roads/table.rs: run this with QUELL_BLESS=1");
}

/// One row for the roads of a family that fare alike.
fn table() -> String {
    let head = Level::ALL.map(Level::name).join(" | ");
    let mut rows = vec![format!("| road | {head} |"), "|---|---|---|---|".to_owned()];
    for alike in ROADS.chunk_by(|one, next| one.family == next.family && cells(one) == cells(next)) {
        let names: Vec<_> = alike.iter().map(|road| road.name.replace('|', "\\|")).collect();
        rows.push(format!("| {} {} | {} |", alike[0].family, names.join(", "), cells(&alike[0])));
    }
    rows.join("\n") + "\n"
}

fn cells(road: &Road) -> String {
    let cell = |level| match road.expected(level) {
        Expected::Denied => "denied".to_owned(),
        Expected::Hole(reason) => format!("**no** ({reason})"),
    };
    Level::ALL.map(cell).join(" | ")
}
