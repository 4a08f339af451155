//! Samples that a machine sends: taken in beside all else it says, in pieces and on credit, so that nothing waits
//! behind them.

use model::{ActId, Digests, MachineId};
use tokio::sync::mpsc;
use wire::link::v1::{self, down};
use wire::link::{Malformed, acts};

use super::Plane;
use super::connection::Ended;
use crate::samples::{Arriving, on_disk};
use crate::store::{Offer, Sample, StoreError};

/// How much a machine may send before it is told to go on.
const CREDIT: u64 = 512 << 10;
/// Pieces and offers that may wait: more than there is credit for, if they are as long as they should be.
pub(super) const PIECES: usize = 64;

/// What a machine says of samples.
pub(super) enum Piece {
    Offer(v1::SampleOffer),
    Chunk(v1::SampleChunk),
}

/// Takes samples in, one at a time, until the connection ends.
pub(super) async fn run(
    plane: &Plane,
    machine: MachineId,
    mut pieces: mpsc::Receiver<Piece>,
    answers: mpsc::Sender<down::Message>,
) -> Result<(), Ended> {
    let mut receiver = Receiver { plane, machine, answers, arriving: None };
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Offer(offer) => receiver.offered(offer).await?,
            Piece::Chunk(chunk) => receiver.chunk(chunk).await?,
        }
    }
    // Whoever hears ends first.
    std::future::pending().await
}

struct Receiver<'a> {
    plane: &'a Plane,
    machine: MachineId,
    answers: mpsc::Sender<down::Message>,
    /// What is coming, and how far it may come before the machine is told to go on.
    arriving: Option<(Arriving, u64)>,
}

impl Receiver<'_> {
    async fn offered(&mut self, offer: v1::SampleOffer) -> Result<(), Ended> {
        let act = acts::act_id(&offer.act)?;
        let digests = Digests::try_from(offer.digests.as_ref().ok_or(Malformed("digests"))?)?;
        let Plane { store, organization, samples, .. } = self.plane;
        // What was coming before stays as far as it came.
        self.arriving = None;
        let offered = (digests, offer.size);
        match store.sample_offered(*organization, self.machine, act, offered, samples.limits()).await {
            Ok(Offer::Here) if samples.has(*organization, digests.sha256) => {
                return self.say(down::Message::SampleStored(offer.act)).await;
            }
            // A store that was restored from a backup names samples that no backup holds.
            Ok(Offer::Wanted | Offer::Here) => {}
            Ok(Offer::Refused(why)) | Err(StoreError::Refused(why)) => return self.refuse(act, why).await,
            Err(error) => return Err(error.into()),
        }
        let (samples, organization) = (samples.clone(), *organization);
        let opened = on_disk(move || Arriving::open(&samples, organization, act, digests, offer.size)).await;
        match opened {
            Ok(arriving) => self.go_on(arriving).await,
            Err(error) => self.refuse(act, format!("the server can't keep it: {error}")).await,
        }
    }

    /// Tells the machine to go on, or ends with what is whole.
    async fn go_on(&mut self, arriving: Arriving) -> Result<(), Ended> {
        if arriving.at == arriving.size {
            return self.finish(arriving).await;
        }
        let until = arriving.size.min(arriving.at + CREDIT);
        let act = arriving.act.0.as_bytes().to_vec();
        let wanted = v1::SampleWanted { act, from: arriving.at, until };
        self.arriving = Some((arriving, until));
        self.say(down::Message::SampleWanted(wanted)).await
    }

    async fn chunk(&mut self, chunk: v1::SampleChunk) -> Result<(), Ended> {
        let act = acts::act_id(&chunk.act)?;
        // One on its way when its sample was refused, or from before the connection was lost.
        let Some((mut arriving, until)) =
            self.arriving.take_if(|(arriving, _)| arriving.act == act && arriving.at == chunk.offset)
        else {
            return Ok(());
        };
        if arriving.at + chunk.bytes.len() as u64 > until || chunk.bytes.is_empty() {
            return Err(Malformed("sample (more or less than it has credit for)").into());
        }
        let written = on_disk(move || match arriving.write(chunk.bytes) {
            Ok(()) => Ok(arriving),
            Err(error) => {
                arriving.give_up();
                Err(error)
            }
        })
        .await;
        match written {
            Err(error) => self.refuse(act, format!("the server can't keep it: {error}")).await,
            Ok(arriving) if until - arriving.at <= CREDIT / 2 => self.go_on(arriving).await,
            Ok(arriving) => {
                self.arriving = Some((arriving, until));
                Ok(())
            }
        }
    }

    async fn finish(&mut self, mut arriving: Arriving) -> Result<(), Ended> {
        let act = arriving.act;
        let checked = on_disk(move || match arriving.check() {
            Ok(true) => Ok(Some(arriving)),
            Ok(false) => {
                arriving.give_up();
                Ok(None)
            }
            Err(error) => Err(error),
        })
        .await;
        let arriving = match checked {
            Ok(Some(arriving)) => arriving,
            Ok(None) => return self.refuse(act, "what came is not what was announced".to_owned()).await,
            Err(error) => return self.refuse(act, format!("the server can't read it back: {error}")).await,
        };
        let Plane { store, organization, .. } = self.plane;
        let sample = Sample { sha256: arriving.digests.sha256, size: arriving.size };
        let noted = store.sample_stored(*organization, self.machine, act, sample);
        let kept = arriving.keep(async { Ok::<_, Kept>(noted.await?) }).await;
        match kept {
            Ok(()) => self.say(down::Message::SampleStored(act.0.as_bytes().to_vec())).await,
            Err(Kept::Io(error)) => self.refuse(act, format!("the server can't keep it: {error}")).await,
            Err(Kept::Store(StoreError::Refused(why))) => self.refuse(act, why).await,
            Err(Kept::Store(error)) => Err(error.into()),
        }
    }

    async fn refuse(&self, act: ActId, reason: String) -> Result<(), Ended> {
        tracing::warn!(machine = %self.machine, %act, reason, "sample.refused");
        let act = act.0.as_bytes().to_vec();
        self.say(down::Message::SampleRefused(v1::SampleRefused { act, reason })).await
    }

    async fn say(&self, answer: down::Message) -> Result<(), Ended> {
        self.answers.send(answer).await.map_err(|_| Ended::Gone)
    }
}

/// Why it was not kept.
#[derive(Debug, thiserror::Error)]
enum Kept {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}
