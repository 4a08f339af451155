//! Telling of filesystems, in a message of bounded size.

use wire::link::{things, v1};

use super::{Filesystem, State};

/// As many as are told in one message.
const MOST: usize = 256;

/// What is told, those first that should be guarded and are not; and how many are left out.
pub(crate) fn shape(filesystems: &[Filesystem]) -> (Vec<v1::Filesystem>, u32) {
    let mut told: Vec<&Filesystem> = filesystems.iter().collect();
    let rank = |state: &State| match state {
        State::Failed(_) => 0,
        State::Guarded => 1,
        State::Watched => 2,
        State::NotChosen | State::NotLocal => 3,
    };
    told.sort_by(|one, other| (rank(&one.state), &one.path).cmp(&(rank(&other.state), &other.path)));
    let left_out = told.len().saturating_sub(MOST);
    told.truncate(MOST);
    (told.into_iter().map(Into::into).collect(), u32::try_from(left_out).unwrap_or(u32::MAX))
}

impl From<&Filesystem> for v1::Filesystem {
    fn from(filesystem: &Filesystem) -> Self {
        Self {
            device: filesystem.device,
            path: things::bytes_of(&filesystem.path),
            r#type: filesystem.kind.clone(),
            state: filesystem.state.to_string(),
        }
    }
}

impl From<v1::Filesystem> for Filesystem {
    fn from(told: v1::Filesystem) -> Self {
        let state = match told.state.as_str() {
            "guarded" => State::Guarded,
            "watched" => State::Watched,
            "not chosen" => State::NotChosen,
            "not local" => State::NotLocal,
            other => State::Failed(other.strip_prefix("failed: ").unwrap_or(other).to_owned()),
        };
        Self { device: told.device, path: things::path_of(told.path), kind: told.r#type, state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_told_first_and_the_rest_is_counted() {
        let states = [
            State::NotLocal,
            State::Watched,
            State::NotChosen,
            State::Guarded,
            State::Failed("the kernel refuses: no space".to_owned()),
        ];
        let filesystem = |number: usize| Filesystem {
            device: number as u64,
            path: format!("/{number}").into(),
            kind: "tmpfs".to_owned(),
            state: states[number % states.len()].clone(),
        };
        let all: Vec<Filesystem> = (0..300).map(filesystem).collect();
        let (told, left_out) = shape(&all);
        assert_eq!((told.len(), left_out), (256, 44));
        assert!(told[..60].iter().all(|told| told.state == "failed: the kernel refuses: no space"));
        for told in told {
            let back = Filesystem::from(told);
            assert_eq!(back, all[usize::try_from(back.device).unwrap()]);
        }
        assert_eq!(shape(&all[..3]).1, 0);
    }
}
