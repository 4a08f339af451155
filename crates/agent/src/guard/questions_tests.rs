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
        let (id, opener) = questions.unsent().map(|(id, opener)| (id, *opener))?;
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
    questions.wait_for_hash("a", start, file);
    questions.wait_for_hash("b", start, identity());
    questions.wait_for_hash("c", start, file);
    questions.wait_for_hash("unknown", start, None);
    questions.wait_for_hash("unknown too", start, None);
    assert_eq!(sent(&mut questions), [(1, "a"), (2, "b"), (3, "unknown"), (4, "unknown too")]);
    assert_eq!(openers(&mut questions, 1), [("a", false), ("c", false)]);
    assert_eq!(openers(&mut questions, 1), []);
    assert_eq!(openers(&mut questions, 9), []);
    // It is a new hashing afterwards.
    questions.wait_for_hash("d", start, file);
    assert_eq!(sent(&mut questions), [(5, "d")]);
}

#[test]
fn each_is_answered_when_its_own_time_is_over() {
    let start = Instant::now();
    let mut questions = Questions::new(8, TIMER);
    let file = identity();
    questions.wait_for_hash("early", start, file);
    sent(&mut questions);
    questions.wait_for_hash("follows", start + ms(50), file);
    questions.wait_for_hash("unsent", start + ms(60), None);
    assert_eq!(questions.next_due(), Some(start + ms(200)));
    assert!(questions.next_late(start + ms(199)).is_none());

    let mut late = |at| {
        std::iter::from_fn(|| questions.next_late(start + ms(at)).map(|(w, read)| (w.opener, read)))
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
    questions.wait_for_writer("w", start, start + ms(5));
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
    questions.wait_for_hash("a", start, None);
    questions.wait_for_hash("b", start, None);
    assert_eq!(sent(&mut questions).len(), 2);
    assert_eq!(sent(&mut questions), []);
    questions.forget_sent();
    assert_eq!(sent(&mut questions), [(1, "a"), (2, "b")]);
}

#[test]
fn a_file_that_never_rests_is_given_up() {
    let start = Instant::now();
    let mut questions = Questions::new(8, TIMER);
    questions.wait_for_hash("a", start, None);
    let tries: Vec<_> = (0..4)
        .map(|_| {
            assert_eq!(sent(&mut questions), [(1, "a")]);
            questions.try_again(1)
        })
        .collect();
    assert_eq!(tries, [true, true, false, false]);
    assert!(!questions.try_again(7));
}

#[test]
fn there_is_an_end_to_the_room() {
    let start = Instant::now();
    let mut questions = Questions::new(2, TIMER);
    questions.wait_for_hash("a", start, None);
    assert!(!questions.is_full());
    questions.wait_for_writer("b", start, start);
    assert!(questions.is_full());
}
