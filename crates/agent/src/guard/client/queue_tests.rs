use super::*;

const MIB: u64 = 1 << 20;
const DEVICE: u64 = 7;
const CREW: Crew = Crew { moving: 9, most: 9, most_still_on_one: 2, told_after: None };

fn queue<J>(room: usize) -> Queue<J> {
    Queue::new(room, CREW)
}

/// Takes turns of `slice` bytes until all is read; who was served, in that order.
fn turns(queue: &Queue<(char, u64)>, slice: u64) -> String {
    let mut order = String::new();
    while queue.state.lock().waiting > 0 {
        let (turn, (name, left)) = queue.take().unwrap();
        order.push(name);
        let read = left.min(slice);
        let rest = (left > read).then_some((left - read, (name, left - read)));
        queue.served(&turn, read, rest);
    }
    order
}

#[test]
fn a_small_file_waits_for_no_large_one() {
    let queue = queue(8);
    queue.put(1, DEVICE, 3 * MIB, ('L', 3 * MIB)).unwrap();
    queue.put(1, DEVICE, MIB / 2, ('s', MIB / 2)).unwrap();
    assert_eq!(turns(&queue, MIB), "sLLL");
}

#[test]
fn a_flood_of_one_user_costs_another_one_turn() {
    let queue = queue(100);
    for _ in 0..50 {
        queue.put(1, DEVICE, MIB, ('a', MIB)).unwrap();
    }
    let (turn, (_, read)) = queue.take().unwrap();
    queue.put(2, DEVICE, MIB, ('b', MIB)).unwrap();
    queue.served(&turn, read, None);
    assert!(turns(&queue, MIB).starts_with('b'));
}

#[test]
fn a_pause_saves_nothing_up() {
    let queue = queue(100);
    for _ in 0..10 {
        queue.put(1, DEVICE, MIB, ('a', MIB)).unwrap();
    }
    for _ in 0..5 {
        let (turn, (_, read)) = queue.take().unwrap();
        queue.served(&turn, read, None);
    }
    for _ in 0..5 {
        queue.put(2, DEVICE, MIB, ('b', MIB)).unwrap();
    }
    let order = turns(&queue, MIB);
    assert!(!order.contains("bbb"), "{order}");
}

#[test]
fn there_is_room_for_so_many_and_an_end() {
    let queue = queue(2);
    assert_eq!(
        (queue.put(1, DEVICE, 1, 'a'), queue.put(1, DEVICE, 1, 'b'), queue.put(1, DEVICE, 1, 'c')),
        (Ok(()), Ok(()), Err('c'))
    );
    queue.close();
    assert!(queue.take().is_none());
    assert_eq!(queue.put(1, DEVICE, 1, 'd'), Err('d'));
}

#[test]
fn who_has_no_job_is_forgotten() {
    let queue = queue(2);
    queue.put(7, DEVICE, 1, ()).unwrap();
    let (turn, ()) = queue.take().unwrap();
    queue.served(&turn, 1, None);
    assert!(queue.state.lock().users.is_empty());
}

#[test]
fn a_device_that_nobody_reads_comes_first_and_one_that_stands_still_last() {
    let queue = queue(8);
    for (device, name) in [(1, 'a'), (1, 'b'), (1, 'c'), (1, 'd'), (2, 'x'), (3, 'y')] {
        queue.put(5, device, u64::from(u32::from(name)), name).unwrap();
    }
    let take = || queue.take().unwrap();
    let (first, second, third) = (take(), take(), take());
    assert_eq!((first.1, second.1, third.1), ('a', 'x', 'y'));
    queue.served(&second.0, 1, None);
    // The first reader stands still from here on: there is one more on its device, and no third.
    std::thread::sleep(STILL);
    assert_eq!(take().1, 'b');
    assert_eq!(queue.state.lock().next(Instant::now(), 2), None);
    queue.put(5, 2, 1, 'z').unwrap();
    assert_eq!(take().1, 'z');
    queue.served(&first.0, 1, None);
    assert_eq!(take().1, 'c');
}

#[test]
fn what_is_dropped_is_not_taken_and_leaves_nothing() {
    let queue = queue(8);
    for (user, name) in [(1, 'a'), (1, 'b'), (2, 'c')] {
        queue.put(user, DEVICE, 1, name).unwrap();
    }
    queue.retain(|name| *name == 'b');
    assert_eq!(queue.take().unwrap().1, 'b');
    let state = queue.state.lock();
    assert_eq!((state.waiting, state.users.len()), (0, 1));
}
