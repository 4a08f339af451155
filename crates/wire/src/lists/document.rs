//! Lists in JSON: arrays and lines of objects, MISP's events and warning lists.
//!
//! A document is walked as it comes; nothing of it is kept but the texts of the object that is being read.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, Read};
use std::rc::Rc;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::Unread;
use super::lines::{Line, Lines, TOO_LONG, digest};
use super::tables::rank_of;
use super::tally::Counting;

/// No text in a document is longer.
const LONGEST: u64 = 1 << 20;
/// Of texts in objects only such are kept, no more than this many bytes long: no digest and no name of a kind is longer,
/// and objects stand in each other a hundred deep.
const LONGEST_KEPT: usize = 4096;

/// One object a line: a line that is broken does not spoil the next.
pub(super) fn each_line(input: impl Read, tally: &mut Counting<'_>) -> Result<(), Unread> {
    let mut lines = Lines::of(input);
    loop {
        let line = match lines.next()? {
            None => return Ok(()),
            Some(Line::TooLong) => {
                tally.refuse(lines.number, TOO_LONG);
                continue;
            }
            Some(Line::Whole([])) => continue,
            Some(Line::Whole(line)) => line.to_vec(),
        };
        let number = Rc::new(Cell::new(lines.number));
        let state = State::new(tally, number, Rc::default());
        let mut json = serde_json::Deserializer::from_slice(&line);
        let read =
            Walk { state: &state, place: Place::Entry }.deserialize(&mut json).and_then(|_| json.end());
        if let Some(error) = state.failed.take() {
            return Err(error);
        }
        if read.is_err() {
            tally.refuse(lines.number, "it is no JSON");
        }
    }
}

/// One value after the other.
pub(super) fn whole(input: impl Read, tally: &mut Counting<'_>) -> Result<(), Unread> {
    let (line, since) = (Rc::new(Cell::new(1)), Rc::new(Cell::new(0)));
    let bytes = Bytes::of(input, &line, &since);
    let failed = Rc::clone(&bytes.failed);
    let state = State::new(tally, Rc::clone(&line), since);
    let mut json = serde_json::Deserializer::from_reader(bytes);
    loop {
        let read = Walk { state: &state, place: Place::Top }.deserialize(&mut json);
        if let Some(error) = state.failed.take() {
            return Err(error);
        }
        if let Some(error) = failed.take() {
            return Err(Unread::Input(error));
        }
        let at_end = |error: &serde_json::Error| error.is_eof() && state.walked.get() == 0;
        match read {
            Ok(_) => state.walked.set(0),
            Err(error) if at_end(&error) => return Ok(()),
            Err(_) if state.since.get() > LONGEST => {
                return Err(Unread::Broken {
                    line: line.get(),
                    why: "a text is longer than 1 MiB".to_owned(),
                });
            }
            Err(error) => {
                return Err(Unread::Broken { line: line.get(), why: format!("it is no JSON: {error}") });
            }
        }
    }
}

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the top: an array there is the list.
    Top,
    /// Where an entry is to be.
    Entry,
    /// Somewhere in between.
    Within,
}

struct State<'a, 'b> {
    tally: RefCell<&'a mut Counting<'b>>,
    failed: Cell<Option<Unread>>,
    /// The line that is being read,
    line: Rc<Cell<u64>>,
    /// and how many bytes have come since the last text or bracket.
    since: Rc<Cell<u64>>,
    /// How many values were begun since the last one at the top.
    walked: Cell<u64>,
}

impl<'a, 'b> State<'a, 'b> {
    fn new(tally: &'a mut Counting<'b>, line: Rc<Cell<u64>>, since: Rc<Cell<u64>>) -> Self {
        Self { tally: RefCell::new(tally), failed: Cell::default(), line, since, walked: Cell::default() }
    }

    /// A text that is to be a digest.
    fn entry<E: Error>(&self, text: &str) -> Result<(), E> {
        match digest(text.as_bytes()) {
            Some(digest) => self.tally.borrow_mut().take(digest).map_err(|error| {
                self.failed.set(Some(error));
                E::custom("stopped")
            }),
            None => {
                self.refuse("it is no MD5, SHA-1 or SHA-256");
                Ok(())
            }
        }
    }

    fn refuse(&self, why: &'static str) {
        self.tally.borrow_mut().refuse(self.line.get(), why);
    }

    /// Something whole was read.
    fn progress(&self) {
        self.since.set(0);
        self.walked.set(self.walked.get() + 1);
    }
}

/// What a value was; its digests, if it held any, are taken by then.
enum Found {
    Text(String),
    Flag(bool),
    Other,
}

struct Walk<'s, 'a, 'b> {
    state: &'s State<'a, 'b>,
    place: Place,
}

impl Walk<'_, '_, '_> {
    fn no_entry(&self) -> Found {
        self.state.progress();
        if self.place == Place::Entry {
            self.state.refuse("it is neither a text nor an object");
        }
        Found::Other
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_, '_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Found, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_, '_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of digests")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Found, E> {
        self.state.progress();
        if self.place == Place::Within {
            let is_kept = text.len() <= LONGEST_KEPT;
            return Ok(if is_kept { Found::Text(text.to_owned()) } else { Found::Other });
        }
        self.state.entry(text)?;
        Ok(Found::Other)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Found, E> {
        self.no_entry();
        Ok(Found::Flag(flag))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Found, E> {
        Ok(self.no_entry())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Found, E> {
        Ok(self.no_entry())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Found, E> {
        Ok(self.no_entry())
    }

    fn visit_unit<E: Error>(self) -> Result<Found, E> {
        Ok(self.no_entry())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Found, A::Error> {
        self.state.progress();
        let place = if self.place == Place::Within { Place::Within } else { Place::Entry };
        while all.next_element_seed(Walk { state: self.state, place })?.is_some() {}
        Ok(Found::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Found, A::Error> {
        self.state.progress();
        let before = self.state.tally.borrow().entries();
        let mut object = Object::default();
        while let Some(Key(key)) = all.next_key()? {
            // MISP's warning lists hold their entries so.
            let place = if key == "list" { Place::Top } else { Place::Within };
            let found = all.next_value_seed(Walk { state: self.state, place })?;
            object.keep(&key, found);
        }
        object.tell(self.state)?;
        let held_nothing = self.state.tally.borrow().entries() == before;
        if held_nothing && self.place == Place::Entry {
            self.state.refuse("no digest is in it");
        }
        Ok(Found::Other)
    }
}

/// An object's key; of one that is too long to mean anything nothing is kept.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(key: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Key, E> {
                Ok(Key(if text.len() <= LONGEST_KEPT { text.to_owned() } else { String::new() }))
            }
        }
        key.deserialize_str(Reader)
    }
}

/// What an object said of one file.
#[derive(Default)]
struct Object {
    /// By kind, longest first.
    digests: [Option<String>; 3],
    kind: Option<String>,
    value: Option<String>,
    /// Deleted, or told for context only.
    is_no_indicator: bool,
}

impl Object {
    fn keep(&mut self, key: &str, found: Found) {
        match found {
            Found::Text(text) if text.trim().is_empty() => {}
            Found::Text(text) => match (rank_of(key), &*key.to_ascii_lowercase()) {
                (Some(rank), _) => self.digests[rank] = Some(text),
                (None, "type" | "indicatortype") => self.kind = Some(text),
                (None, "value" | "indicatorvalue") => self.value = Some(text),
                _ => {}
            },
            Found::Flag(flag) => {
                self.is_no_indicator |= matches!((key, flag), ("deleted", true) | ("to_ids", false));
            }
            Found::Other => {}
        }
    }

    fn tell<E: Error>(self, state: &State<'_, '_>) -> Result<(), E> {
        let typed = || self.value.filter(|_| self.kind.as_deref().is_some_and(is_type_of_digests));
        let Some(text) = self.digests.into_iter().flatten().next().or_else(typed) else { return Ok(()) };
        if self.is_no_indicator {
            state.tally.borrow_mut().skip();
            return Ok(());
        }
        state.entry(&text)
    }
}

/// `sha256`, `filename|md5`, `FileSha1`, …
fn is_type_of_digests(kind: &str) -> bool {
    let last = kind.rsplit('|').next().unwrap_or_default();
    rank_of(last).is_some() || kind == "malware-sample"
}

/// A document's bytes, one by one: counted by lines, and no more at a time without a text than makes sense.
struct Bytes<R> {
    input: R,
    buffer: Box<[u8]>,
    at: usize,
    end: usize,
    line: Rc<Cell<u64>>,
    since: Rc<Cell<u64>>,
    failed: Rc<Cell<Option<io::Error>>>,
}

impl<R: Read> Bytes<R> {
    fn of(input: R, line: &Rc<Cell<u64>>, since: &Rc<Cell<u64>>) -> Self {
        let buffer = vec![0; 64 << 10].into_boxed_slice();
        let (line, since) = (Rc::clone(line), Rc::clone(since));
        Self { input, buffer, at: 0, end: 0, line, since, failed: Rc::default() }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.at = 0;
        self.end = 0;
        loop {
            match self.input.read(&mut self.buffer) {
                Ok(read) => {
                    self.end = read;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // serde_json's own error would hide what it was.
                    let kind = error.kind();
                    self.failed.set(Some(error));
                    return Err(kind.into());
                }
            }
        }
    }
}

impl<R: Read> Read for Bytes<R> {
    /// serde_json asks for one byte at a time.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.end {
            self.fill()?;
        }
        let (Some(byte), Some(place)) = (self.buffer[..self.end].get(self.at), into.first_mut()) else {
            return Ok(0);
        };
        let since = self.since.get() + 1;
        self.since.set(since);
        if since > LONGEST {
            return Err(io::Error::other("a text is too long"));
        }
        self.at += 1;
        *place = *byte;
        if *byte == b'\n' {
            self.line.set(self.line.get() + 1);
        }
        Ok(1)
    }
}
