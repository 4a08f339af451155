use std::os::fd::AsFd;

use super::*;

const TIMER: Duration = Duration::from_millis(200);
const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn identity() -> Option<Identity> {
    let file = tempfile::tempfile().unwrap();
    Identity::of(file.as_fd()).unwrap().identity
}

fn openers(questions: &mut Questions<&'static str>, id: u64) -> Vec<(&'static str, bool)> {
    std::iter::from_fn(|| questions.take_hashed(id)).map(|waiting| (waiting.opener, waiting.late)).collect()
}

fn sent(questions: &mut Questions<&'static str>) -> Vec<(u64, &'static str)> {
    std::iter::from_fn(|| {
        let (id, opener) = questions.unsent().map(|(id, waiting)| (id, waiting.opener))?;
        questions.mark_sent(id);
        Some((id, opener))
    })
    .collect()
}

#[test]
fn one_file_is_hashed_once_for_all_who_wait() {
    let start = Instant::now();
    let mut questions = Questions::new(8, TIMER);
    let file = identity();
    questions.wait_for_hash("a", 0, true, start, file);
    questions.wait_for_hash("b", 0, true, start, identity());
    questions.wait_for_hash("c", 0, true, start, file);
    questions.wait_for_hash("unknown", 0, true, start, None);
    questions.wait_for_hash("unknown too", 0, true, start, None);
    assert_eq!(sent(&mut questions), [(1, "a"), (2, "b"), (3, "unknown"), (4, "unknown too")]);
    assert_eq!(openers(&mut questions, 1), [("a", false), ("c", false)]);
    assert_eq!(openers(&mut questions, 1), []);
    assert_eq!(openers(&mut questions, 9), []);
    // It is a new hashing afterwards.
    questions.wait_for_hash("d", 0, true, start, file);
    assert_eq!(sent(&mut questions), [(5, "d")]);
}

#[test]
fn each_is_answered_when_its_own_time_is_over() {
    let start = Instant::now();
    let mut questions = Questions::new(8, TIMER);
    let file = identity();
    questions.wait_for_hash("early", 0, true, start, file);
    sent(&mut questions);
    questions.wait_for_hash("follows", 0, true, start + ms(50), file);
    questions.wait_for_hash("unsent", 0, true, start + ms(60), None);
    assert_eq!(questions.next_due(), Some(start + ms(200)));
    assert!(questions.next_late(start + ms(199)).is_none());

    let mut late = |at| {
        std::iter::from_fn(|| {
            let index = questions.next_late(start + ms(at))?;
            let (waiting, read) = questions.set_late(index);
            Some((waiting.opener, read))
        })
        .collect::<Vec<_>>()
    };
    assert_eq!(late(200), [("early", true)]);
    assert_eq!(late(200), []);
    assert_eq!(late(900), [("follows", false), ("unsent", false)]);
    assert_eq!(questions.next_due(), None);
    assert_eq!(questions.late().count(), 3);
    // The hash goes on, and all of them learn what it says.
    assert_eq!(openers(&mut questions, 1), [("early", true), ("follows", true)]);
    assert_eq!(openers(&mut questions, 2), [("unsent", true)]);
}

#[test]
fn a_writer_is_waited_for_in_small_steps() {
    let start = Instant::now();
    let mut questions = Questions::new(8, TIMER);
    questions.wait_for_writer("w", 0, start, start + ms(5));
    assert_eq!(questions.next_due(), Some(start + ms(6)));
    assert!(questions.take_retry(start + ms(5)).is_none());
    assert!(questions.next_late(start + ms(900)).is_none(), "it is answered as busy, long before");
    let again = questions.take_retry(start + ms(6)).unwrap();
    assert_eq!((again.opener, again.asked), ("w", start));
    assert_eq!(questions.next_due(), None);
}

#[test]
fn a_new_agent_is_asked_everything_again() {
    let start = Instant::now();
    let mut questions = Questions::new(8, TIMER);
    questions.wait_for_hash("a", 0, true, start, None);
    questions.wait_for_hash("b", 0, true, start, None);
    assert_eq!(sent(&mut questions).len(), 2);
    assert_eq!(sent(&mut questions), []);
    questions.forget_sent();
    assert_eq!(sent(&mut questions), [(1, "a"), (2, "b")]);
}

#[test]
fn a_file_that_never_rests_is_given_up() {
    let start = Instant::now();
    let mut questions = Questions::new(8, TIMER);
    questions.wait_for_hash("a", 0, true, start, None);
    let tries: Vec<_> = (0..4)
        .map(|_| {
            let repeated = questions.is_repeated(1);
            assert_eq!(sent(&mut questions), [(1, "a")]);
            (repeated, questions.try_again(1))
        })
        .collect();
    assert_eq!(tries, [(false, true), (true, true), (true, false), (true, false)]);
    assert!(!questions.try_again(7));
}

#[test]
fn there_is_an_end_to_the_room() {
    let start = Instant::now();
    let mut questions = Questions::new(2, TIMER);
    questions.wait_for_hash("a", 0, true, start, None);
    assert_eq!(questions.room(1), Room::Free);
    questions.wait_for_writer("b", 1, start, start);
    assert_eq!(questions.room(1), Room::Overdrawn);
    assert_eq!(questions.room(2), Room::Taken);
}

#[test]
fn one_user_leaves_room_for_others() {
    let start = Instant::now();
    let mut questions = Questions::new(16, TIMER);
    let flood = std::iter::from_fn(|| {
        let has_room = questions.room(1) == Room::Free;
        has_room.then(|| questions.wait_for_hash("flood", 1, true, start, None))
    });
    assert_eq!(flood.count(), 8);
    for user in [2, 2, 3] {
        assert_eq!(questions.room(user), Room::Free);
        questions.wait_for_hash("other", user, true, start, None);
    }
    assert_eq!(questions.room(2), Room::Overdrawn, "an eighth of all");
    assert_eq!(questions.room(3), Room::Free);
}

#[test]
fn nobody_waits_for_what_another_user_asked_for() {
    let start = Instant::now();
    let mut questions = Questions::new(8, TIMER);
    let file = identity();
    questions.wait_for_hash("flood", 1, true, start, file);
    questions.wait_for_hash("other", 2, true, start, file);
    questions.wait_for_hash("reader", 2, false, start, file);
    assert_eq!(sent(&mut questions), [(1, "flood"), (2, "other"), (3, "reader")]);
}

/// Openers of these users, each of a file of its own, whose time is over.
fn late_openers(users: &[u32], start: Instant) -> Questions<u32> {
    let mut questions = Questions::new(16, TIMER);
    for (number, user) in (0..).zip(users) {
        questions.wait_for_hash(number, *user, true, start + ms(u64::from(number)), None);
        while let Some((id, _)) = questions.unsent() {
            questions.mark_sent(id);
        }
        let index = questions.next_late(start + ms(900)).unwrap();
        questions.set_late(index);
    }
    questions
}

#[test]
fn who_has_an_answer_takes_nobodys_place() {
    let start = Instant::now();
    let questions = late_openers(&[1, 1, 2], start);
    assert_eq!((questions.waiting_count(), questions.room(1)), (0, Room::Free));
    assert_eq!(questions.late_room(1), Room::Overdrawn);
    assert_eq!(questions.late_room(2), Room::Free);
    let questions = late_openers(&[1, 1, 2, 2, 3, 3, 4, 5], start);
    assert_eq!(questions.late_room(4), Room::Taken);
}

#[test]
fn whoever_has_most_loses_the_oldest_and_its_hashing_is_cancelled() {
    let start = Instant::now();
    let mut questions = late_openers(&[3, 1, 1, 2], start);
    let index = questions.most_dispensable().unwrap();
    let taken = questions.take(index).unwrap();
    assert_eq!((taken.user, taken.opener), (1, 1));
    assert_eq!(questions.cancelled(), Some(2));
    questions.mark_cancelled(2);
    assert_eq!(questions.cancelled(), None);
    assert!(questions.take_hashed(2).is_none(), "nobody waits for it");
}

#[test]
fn whose_file_is_read_for_others_stays_until_they_have_gone() {
    let start = Instant::now();
    let mut questions = Questions::new(8, TIMER);
    let file = identity();
    questions.wait_for_hash("leads", 0, true, start, file);
    questions.wait_for_hash("follows", 0, true, start, file);
    assert_eq!(sent(&mut questions), [(1, "leads")]);
    while let Some(index) = questions.next_late(start + ms(200)) {
        questions.set_late(index);
    }
    let mut take = |name| {
        let index = questions.find_late(|waiting| waiting.opener == name)[0];
        questions.take(index).map(|waiting| waiting.opener)
    };
    assert_eq!(take("leads"), None);
    assert_eq!(take("follows"), Some("follows"));
    assert_eq!(take("leads"), Some("leads"));
    assert_eq!(questions.cancelled(), Some(1));
    assert!(questions.is_empty());
}
