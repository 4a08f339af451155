//! Rounds in which everything that is compared has one turn each.

use tests::measure::Median;

/// One of the things that are compared. Its turn gives a time, in nanoseconds.
pub(crate) struct Lane<'a> {
    pub(crate) name: &'static str,
    pub(crate) turn: Box<dyn Fn(usize) -> anyhow::Result<f64> + 'a>,
}

/// What came of it.
pub(crate) struct Series {
    pub(crate) name: &'static str,
    times: Vec<f64>,
    /// Why it has no more of them.
    pub(crate) failed: Option<String>,
}

impl Series {
    /// One that had all its turns.
    #[cfg(test)]
    pub(crate) fn of(name: &'static str, times: &[f64]) -> Self {
        Self { name, times: times.to_vec(), failed: None }
    }

    /// The median time, in nanoseconds; none unless it had all its turns.
    pub(crate) fn time(&self) -> Option<f64> {
        self.failed.is_none().then(|| Median::of(&self.times).middle)
    }

    /// The ratio to another, of the same round each.
    pub(crate) fn ratio(&self, to: &Self) -> Option<Median> {
        let complete = self.failed.is_none() && to.failed.is_none();
        let ratios: Vec<f64> = self.times.iter().zip(&to.times).map(|(own, other)| own / other).collect();
        complete.then(|| Median::of(&ratios))
    }
}

/// One round that does not count, then `rounds` that do, each in another order.
pub(crate) fn measure(lanes: &[Lane<'_>], rounds: usize) -> Vec<Series> {
    let mut series: Vec<Series> =
        lanes.iter().map(|lane| Series { name: lane.name, times: vec![], failed: None }).collect();
    let mut order: Vec<usize> = (0..lanes.len()).collect();
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    for round in 0..=rounds {
        chance.shuffle(&mut order);
        for &which in &order {
            if series[which].failed.is_some() {
                continue;
            }
            match (lanes[which].turn)(round) {
                Ok(time) if round > 0 => series[which].times.push(time),
                Ok(_) => {}
                Err(error) => series[which].failed = Some(format!("{error:#}")),
            }
        }
    }
    series
}

/// The same orders in each run.
struct Chance(u64);

impl Chance {
    fn shuffle(&mut self, order: &mut [usize]) {
        for last in (1..order.len()).rev() {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            order.swap(last, (self.0 % (last as u64 + 1)) as usize);
        }
    }
}
