//! A server that orders whatever it is told to, spared or not.

use std::collections::BTreeMap;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use model::act::{Act, Do, Outcome, Terms};
use model::log::Position;
use model::rule::{Effect, Identifier, Rule, Scope};
use model::{ActId, Epoch, FileId, Generation, MachineId, OrderId, OrganizationId, RuleId, Sha256, Time};
use wire::link::v1::{self, down, up};
use wire::link::{frame, things};

/// How long anything may take that is ordered.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long its agent may take to know all of a machine's files.
const SWEEP: Duration = Duration::from_secs(300);
/// Of the log.
const EPOCH: u64 = 1;

pub(super) struct Plane {
    machine: MachineId,
    heard: Receiver<Heard>,
    generation: u64,
    /// The agent's end, once it is there.
    stream: Option<UnixStream>,
    adopted: u64,
    swept: bool,
    spared: Option<BTreeMap<PathBuf, Vec<u8>>>,
    outcomes: Vec<Outcome>,
}

/// From the thread that hears the agent.
enum Heard {
    Here(UnixStream),
    Said(Box<up::Message>),
}

impl Plane {
    pub(super) fn listen(
        data_dir: &Path,
        machine: MachineId,
        organization: OrganizationId,
    ) -> anyhow::Result<Self> {
        let listener = UnixListener::bind(data_dir.join("link.sock"))?;
        let (sender, heard) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // The agent makes another connection.
                let _ = hear(stream, organization, &sender);
            }
        });
        let (outcomes, spared) = (Vec::new(), None);
        Ok(Self { machine, heard, generation: 0, stream: None, adopted: 0, swept: false, spared, outcomes })
    }

    /// Waits until the agent knows all files, and has said which it spares.
    pub(super) fn wait_ready(&mut self) -> anyhow::Result<()> {
        self.until(SWEEP, |own| own.swept && own.spared.is_some()).context("the first sweep")?;
        self.deny(&[])
    }

    /// Waits until a file is spared that holds this.
    pub(super) fn wait_spared(&mut self, path: &Path, sha256: Sha256, patience: Duration) -> bool {
        let is_spared = |own: &Self| {
            own.spared.as_ref().is_some_and(|spared| spared.get(path).is_some_and(|held| *held == sha256.0))
        };
        self.until(patience, is_spared).is_ok()
    }

    /// Denies these files and no others, and waits until that is in force.
    pub(super) fn deny(&mut self, files: &[Sha256]) -> anyhow::Result<()> {
        self.generation += 1;
        let rule = |(number, file): (usize, &Sha256)| Rule {
            id: RuleId(self.generation * 10_000 + number as u64),
            effect: Effect::Deny,
            identifier: Identifier::Sha256(*file),
            scope: Scope::Organization,
            until: None,
        };
        let rules = v1::Rules {
            whole: true,
            epoch: EPOCH,
            to: self.generation,
            rules: files.iter().enumerate().map(|file| (&rule(file)).into()).collect(),
            chain: vec![0; 32],
            ..Default::default()
        };
        self.say(down::Message::Rules(rules))?;
        self.until(PATIENCE, |own| own.adopted >= own.generation).context("rules in force")
    }

    /// Quarantines a file; the order and what came of it.
    pub(super) fn quarantine(&mut self, file: FileId) -> anyhow::Result<(OrderId, Outcome)> {
        let order = OrderId::random();
        Ok((order, self.act(order, Do::Quarantine(file))?))
    }

    /// Brings back what an order took.
    pub(super) fn restore(&mut self, order: OrderId) -> anyhow::Result<Outcome> {
        self.act(OrderId::random(), Do::Restore(order, Terms { beside: false, keep_privileges: true }))
    }

    fn act(&mut self, order: OrderId, what: Do) -> anyhow::Result<Outcome> {
        let after = Position { epoch: Epoch(EPOCH), generation: Generation(self.generation) };
        let deadline = Time::from_ticks(i64::MAX);
        let act = Act { id: ActId::random(), order, machine: self.machine, what, after, deadline };
        self.say(down::Message::Act((&act).into()))?;
        let of_act = |outcome: &Outcome| outcome.act == act.id;
        self.until(PATIENCE, |own| own.outcomes.iter().any(of_act)).with_context(|| format!("{act:?}"))?;
        let at = self.outcomes.iter().position(of_act).context("the outcome")?;
        Ok(self.outcomes.swap_remove(at))
    }

    fn say(&mut self, message: down::Message) -> anyhow::Result<()> {
        let stream = self.stream.as_mut().context("the agent is not there")?;
        Ok(frame::write(stream, &v1::Down { message: Some(message) })?)
    }

    fn until(&mut self, patience: Duration, is_so: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        while !is_so(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            let heard = self.heard.recv_timeout(left).map_err(|_| anyhow!("waited {patience:?}"))?;
            self.note(heard)?;
        }
        Ok(())
    }

    fn note(&mut self, heard: Heard) -> anyhow::Result<()> {
        let message = match heard {
            Heard::Here(stream) => {
                self.stream = Some(stream);
                return Ok(());
            }
            Heard::Said(message) => *message,
        };
        match message {
            up::Message::Adopted(position) => self.adopted = position.generation,
            up::Message::Heartbeat(beat) => self.swept |= beat.first_sweep_complete,
            up::Message::Spared(set) => {
                let digest = |one: v1::Spared| Some((things::path_of(one.path), one.digests?.sha256));
                self.spared = Some(set.spared.into_iter().filter_map(digest).collect());
            }
            up::Message::Outcome(outcome) => {
                let stored = down::Message::OutcomeStored(outcome.act.clone());
                self.outcomes.push(outcome.try_into()?);
                self.say(stored)?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Agrees to everything, and hands it on.
fn hear(mut stream: UnixStream, organization: OrganizationId, heard: &Sender<Heard>) -> std::io::Result<()> {
    let answer =
        |stream: &mut UnixStream, message| frame::write(stream, &v1::Down { message: Some(message) });
    while let Some(v1::Up { message }) = frame::read(&mut stream)? {
        match message {
            Some(up::Message::Hello(_)) => {
                let organization = organization.0.as_bytes().to_vec();
                let welcome = v1::Welcome { organization, heartbeat_seconds: 1, ..Default::default() };
                answer(&mut stream, down::Message::Welcome(welcome))?;
                let _ = heard.send(Heard::Here(stream.try_clone()?));
            }
            Some(up::Message::Sightings(sightings)) => {
                answer(&mut stream, down::Message::SightingsStored(sightings.sequence))?;
            }
            Some(message) => {
                let _ = heard.send(Heard::Said(Box::new(message)));
            }
            None => {}
        }
    }
    Ok(())
}
