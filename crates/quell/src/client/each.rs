//! Several things, one after the other: a refusal of one does not spare the next.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;

/// Does `one` for each. Every failure is told; the first decides how the command ends.
pub(crate) fn each<T>(
    things: impl IntoIterator<Item = T>,
    format: Format,
    mut one: impl FnMut(T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut first: Option<Failure> = None;
    for thing in things {
        let Err(failure) = one(thing) else { continue };
        // Nobody wants the rest after a Ctrl-C, and nobody answers for it without a server.
        if matches!(failure.exit, Exit::Interrupted | Exit::Unreachable) {
            return Err(failure);
        }
        match &first {
            Some(_) => failure.tell(format),
            None => first = Some(failure),
        }
    }
    first.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_does_not_spare_the_next() {
        let mut done = Vec::new();
        let ended = each([1, 2, 3], Format::Table, |n| {
            done.push(n);
            if n == 2 { Err(Failure::new(Exit::Refused, "spared")) } else { Ok(()) }
        });
        assert_eq!(done, [1, 2, 3]);
        assert_eq!(ended.unwrap_err().exit, Exit::Refused);
    }

    #[test]
    fn without_a_server_there_is_no_next() {
        let mut calls = 0;
        let ended = each([1, 2], Format::Table, |_| {
            calls += 1;
            Err(Failure::new(Exit::Unreachable, "gone"))
        });
        assert_eq!((calls, ended.unwrap_err().exit), (1, Exit::Unreachable));
    }
}
