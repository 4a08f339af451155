//! How much a record may hold. Whoever writes cuts, whoever reads refuses.

use crate::link::Malformed;

/// Of what an author says of a file, in bytes.
pub(super) const TEXT: usize = 4096;
/// Of the name of a person, a library or a module.
pub(super) const NAME: usize = 1024;

/// At most so many bytes of a text, whole characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}

/// A text of at most so many bytes.
pub(super) fn text(text: String, most: usize, what: &'static str) -> Result<String, Malformed> {
    if text.len() > most { Err(Malformed(what)) } else { Ok(text) }
}

/// The same of a text that may be missing.
pub(super) fn some_text(
    some: Option<String>,
    most: usize,
    what: &'static str,
) -> Result<Option<String>, Malformed> {
    some.map(|some| text(some, most, what)).transpose()
}

/// At most so many bytes.
pub(super) fn bytes(bytes: Vec<u8>, most: usize, what: &'static str) -> Result<Vec<u8>, Malformed> {
    if bytes.len() > most { Err(Malformed(what)) } else { Ok(bytes) }
}

/// The first so many of these.
pub(super) fn first(bytes: &[u8], most: usize) -> Vec<u8> {
    bytes[..bytes.len().min(most)].to_vec()
}

/// At most so many things.
pub(super) fn few<From, To: TryFrom<From, Error = Malformed>>(
    list: Vec<From>,
    most: usize,
    what: &'static str,
) -> Result<Vec<To>, Malformed> {
    if list.len() > most {
        return Err(Malformed(what));
    }
    list.into_iter().map(To::try_from).collect()
}

/// A digest; none where there are no bytes.
pub(super) fn digest<const N: usize>(bytes: &[u8], what: &'static str) -> Result<Option<[u8; N]>, Malformed> {
    if bytes.is_empty() {
        return Ok(None);
    }
    bytes.try_into().map(Some).map_err(|_| Malformed(what))
}

/// A number of 16 bits.
pub(super) fn half(number: u32, what: &'static str) -> Result<u16, Malformed> {
    u16::try_from(number).map_err(|_| Malformed(what))
}
