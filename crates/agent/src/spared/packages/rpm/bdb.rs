//! The Berkeley DB hash in which rpm kept its packages before 4.16 (RHEL 8, Amazon Linux 2 and older). Numbers are
//! of the machine's order that wrote it.

use std::io;

use super::bytes::Order;
use super::{LONGEST, MOST, malformed};

const HASH: u32 = 0x0006_1561;
/// Where the number above stands.
const MAGIC_AT: usize = 12;
/// Pages of the hash's buckets, as they were and as they are written since libdb 4.6; and of long values.
const BUCKETS: [u8; 2] = [2, 13];
const OVERFLOW: u8 = 7;
/// A page's head.
const HEAD: usize = 26;
/// How an entry begins that lies on the page, and one that lies on others.
const HERE: u8 = 1;
const ELSEWHERE: u8 = 3;

/// The order of a hash that begins so; none if it is none.
pub(super) fn order(head: &[u8]) -> Option<Order> {
    [Order::Little, Order::Big].into_iter().find(|order| order.u32(head, MAGIC_AT) == Some(HASH))
}

pub(super) fn headers(bytes: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let order = order(bytes).ok_or_else(|| malformed("it is no hash"))?;
    let page = order.size(bytes, 20).filter(|size| size.is_power_of_two() && (512..=65536).contains(size));
    let page = page.ok_or_else(|| malformed("its pages have no length"))?;
    if bytes.get(24) != Some(&0) {
        return Err(malformed("it is encrypted"));
    }
    let hash = Hash { bytes, page, order };
    let mut headers = Vec::new();
    let mut budget = bytes.len();
    for number in 1..bytes.len() / page {
        let at = hash.page(number).unwrap_or_default();
        if !at.get(25).is_some_and(|kind| BUCKETS.contains(kind)) {
            continue;
        }
        for entry in hash.values(at) {
            let entry = entry.ok_or_else(|| malformed("an entry leaves its page"))?;
            let value = hash.value(entry).ok_or_else(|| malformed("a value breaks off"))?;
            // The one that counts the packages is no package.
            if value.len() <= 8 {
                continue;
            }
            // Pages that several values claimed would make the whole larger than the file.
            budget = budget.checked_sub(value.len()).ok_or_else(|| malformed("values overlap"))?;
            if headers.len() >= MOST {
                return Err(malformed("it has too many packages"));
            }
            headers.push(value);
        }
    }
    Ok(headers)
}

struct Hash<'b> {
    bytes: &'b [u8],
    page: usize,
    order: Order,
}

impl<'b> Hash<'b> {
    fn page(&self, number: usize) -> Option<&'b [u8]> {
        let start = number.checked_mul(self.page)?;
        self.bytes.get(start..start.checked_add(self.page)?)
    }

    /// The second of each pair on a page: keys and values take turns. None for one that is not on the page.
    fn values(&self, page: &'b [u8]) -> impl Iterator<Item = Option<&'b [u8]>> {
        let (order, length) = (self.order, self.page);
        let count = order.u16(page, 20).map_or(0, usize::from);
        let place = move |index: usize| order.u16(page, HEAD + 2 * index).map(usize::from);
        (1..count).step_by(2).map(move |index| {
            // Entries are put on a page from its end.
            let end = place(index - 1).filter(|end| *end <= length)?;
            page.get(place(index)?..end)
        })
    }

    fn value(&self, entry: &[u8]) -> Option<Vec<u8>> {
        match *entry.first()? {
            HERE => Some(entry.get(1..)?.to_owned()),
            ELSEWHERE => self.chain(self.order.size(entry, 4)?, self.order.size(entry, 8)?),
            // Duplicates: rpm makes none here.
            _ => Some(Vec::new()),
        }
    }

    /// What lies on a chain of pages.
    fn chain(&self, first: usize, length: usize) -> Option<Vec<u8>> {
        if length > LONGEST.min(self.bytes.len()) {
            return None;
        }
        let mut value = Vec::with_capacity(length);
        let mut next = first;
        while value.len() < length {
            let page = self.page(next).filter(|page| next != 0 && page[25] == OVERFLOW)?;
            let here = self.order.u16(page, 22).map(usize::from).filter(|here| *here > 0)?;
            value.extend_from_slice(page.get(HEAD..HEAD.checked_add(here)?)?);
            next = self.order.size(page, 16)?;
        }
        (value.len() == length).then_some(value)
    }
}
