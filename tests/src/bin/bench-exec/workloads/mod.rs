//! What is measured.

pub(crate) mod first;

mod build;
mod commands;
mod opens;
mod warm;

use anyhow::bail;
use tests::userland::Userland;

use crate::arm::{Arm, Arms, Kind};
use crate::bars::{self, Bar};
use crate::paired::{self, Lane};
use crate::slot;
use crate::table::{self, Unit};

/// How much is done in one turn.
pub(crate) struct Sizes {
    execs: u32,
    /// Rounds of six commands.
    commands: u32,
    /// Sources of the build.
    sources: u32,
    opens: u32,
    firsts: u32,
}

impl Sizes {
    pub(crate) fn whole() -> Self {
        Self { execs: 1500, commands: 150, sources: 60, opens: 30_000, firsts: 10 }
    }

    pub(crate) fn quick() -> Self {
        Self { execs: 300, commands: 30, sources: 15, opens: 6000, firsts: 5 }
    }
}

/// All that the workloads need, to be copied onto each filesystem.
///
/// # Errors
/// What is not on this system.
pub(crate) fn furnish(sizes: &Sizes) -> anyhow::Result<Userland> {
    let userland = Userland::gather()?;
    userland.compile(include_str!("../loop.c"), &["-O2"], "/bench/loop")?;
    warm::furnish(&userland)?;
    commands::furnish(&userland)?;
    build::furnish(&userland, sizes)?;
    opens::furnish(&userland)?;
    Ok(userland)
}

/// Those that do the same again and again, with their letters.
pub(crate) fn repeated(sizes: &Sizes) -> Vec<(char, Workload)> {
    let [tiny, usual] = warm::workloads(sizes);
    vec![
        ('a', tiny),
        ('a', usual),
        ('b', commands::workload(sizes)),
        ('b', build::workload(sizes)),
        ('c', opens::workload(sizes)),
    ]
}

/// One that does the same again and again, compared with native.
pub(crate) struct Workload {
    title: &'static str,
    unit: Unit,
    /// The arguments of the loop for so much work.
    arguments: Box<dyn Fn(u32) -> Vec<String>>,
    /// Work of a whole turn.
    size: u32,
    /// What the loop's time is divided by for each piece of work.
    divides: bool,
    /// Programs that are executed for one piece of work; none where files are opened.
    execs: f64,
    most: f64,
}

impl Workload {
    /// Measures and prints it; whether its bars hold.
    pub(crate) fn measure(&self, arms: &Arms, rounds: usize) -> anyhow::Result<bool> {
        let counts = Counts::begin(arms);
        let lanes: Vec<Lane<'_>> = arms.present().map(|arm| self.lane(arm)).collect();
        let series = paired::measure(&lanes, rounds);
        table::print(self.title, &series, Kind::Native.name(), &self.unit);
        counts.print(f64::from(self.size) * (rounds + 1) as f64, self.execs);
        settle(arms, &series)?;
        let bars = [
            Bar { of: Kind::Quell.name(), to: Kind::Native.name(), most: self.most },
            Bar { of: Kind::Quell.name(), to: Kind::Fapolicyd.name(), most: 1.0 },
        ];
        Ok(judge(&bars, &series, Kind::NativeAgain.name(), Kind::Native.name()))
    }

    fn lane<'a>(&'a self, arm: &'a Arm) -> Lane<'a> {
        let work = (self.size / arm.share()).max(1);
        let turn = move |_round: usize| {
            let arguments = (self.arguments)(work);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let time = slot::run(&arm.ground, &arguments)?;
            Ok(if self.divides { time / f64::from(work) } else { time })
        };
        Lane { name: arm.kind.name(), turn: Box::new(turn) }
    }
}

/// What Quell's guards had counted before.
pub(crate) struct Counts<'a>(Vec<(&'a Arm, [f64; 2])>);

impl<'a> Counts<'a> {
    pub(crate) fn begin(arms: &'a Arms) -> Self {
        Self(arms.present().filter_map(|arm| Some((arm, arm.counts()?))).collect())
    }

    /// Prints what they have been asked since, for each exec of the work. The round that does not count is part of
    /// the work.
    pub(crate) fn print(&self, work: f64, execs: f64) {
        for (arm, before) in &self.0 {
            let Some(now) = arm.counts() else { continue };
            let [asked, late] = [now[0] - before[0], now[1] - before[1]];
            let (ratio, unit) =
                if execs > 0.0 { (asked / (work * execs), "exec") } else { (asked / work, "open") };
            println!("  {}: {ratio:.3} questions per {unit}, {late} answered by the timer", arm.kind.name());
        }
    }
}

/// Whoever failed, or was not there any more at the end, is not measured again.
///
/// # Errors
/// When native fails: then there is nothing to compare with.
pub(crate) fn settle(arms: &Arms, series: &[paired::Series]) -> anyhow::Result<()> {
    for arm in arms.present() {
        let own = series.iter().find(|series| series.name == arm.kind.name());
        match own.and_then(|series| series.failed.as_ref()) {
            Some(reason) if arm.kind == Kind::Native => bail!("native can't be measured: {reason}"),
            Some(reason) => arm.lose(reason),
            None => arm.check(),
        }
    }
    Ok(())
}

/// Judges bars, with the noise that `twin` against `base` shows. What was not measured breaks none.
pub(crate) fn judge(bars: &[Bar], series: &[paired::Series], twin: &str, base: &str) -> bool {
    let find = |name: &str| series.iter().find(|series| series.name == name);
    let same = find(twin).zip(find(base)).and_then(|(twin, base)| twin.ratio(base));
    let noise = bars::noise(same);
    // All of them are printed, so none may be passed over because another falls short.
    let judged: Vec<bool> = bars.iter().filter_map(|bar| bar.judge(series, noise)).collect();
    judged.into_iter().all(|holds| holds)
}
