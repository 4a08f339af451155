//! A seeded slice of the brick proof; the whole of it is `cargo xtask soak brick`.

use tests::brick::{self, Measure};

/// Another one in each week would find more, and nobody could tell what has broken it.
const SEED: u64 = 17;

#[test]
fn whatever_is_denied_and_taken_the_machine_can_be_repaired() {
    if !tests::is_private() {
        return;
    }
    let measure = Measure { files: Some(40), seed: SEED, batch: 40, opens: true };
    let tally = brick::run(&measure).unwrap_or_else(|error| panic!("{error:?}"));
    println!("{tally:?}");
    assert_eq!((tally.denied, tally.trials), (40, 2));
    assert_eq!(tally.quarantined + tally.spared, tally.denied);
    assert!(tally.quarantined > 0 && tally.spared > 0);
}
