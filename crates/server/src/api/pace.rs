//! How slowly an answer may be taken, or a list may come. Who takes nothing, or next to nothing, keeps a connection and what hangs on it: the
//! place of a reader of samples, a long list in memory.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// So many bytes a second have to be taken in the long run,
const RATE: u64 = 32 << 10;
/// and so long may nothing be.
const CREDIT: Duration = Duration::from_secs(60);

/// For how long the other end may do nothing from now on; each byte earns some of it back.
#[derive(Debug)]
pub(super) struct Credit(Duration);

impl Credit {
    pub(super) const fn full() -> Self {
        Self(CREDIT)
    }

    pub(super) const fn left(&self) -> Duration {
        self.0
    }

    /// So long it was waited for.
    pub(super) const fn waited(&mut self, time: Duration) {
        self.0 = self.0.saturating_sub(time);
    }

    /// So many bytes have come, or were taken.
    pub(super) fn earned(&mut self, bytes: usize) {
        let earned = Duration::from_micros((bytes as u64).saturating_mul(1_000_000) / RATE);
        self.0 = (self.0 + earned).min(CREDIT);
    }
}

/// A connection whose other end has to keep pace. Only the time counts in which we have something for it.
pub(super) struct Paced<S> {
    stream: S,
    credit: Credit,
    waiting: Option<Waiting>,
}

struct Waiting {
    since: Instant,
    end: Pin<Box<Sleep>>,
}

impl<S> Paced<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, credit: Credit::full(), waiting: None }
    }

    fn weigh(
        &mut self,
        taken: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(taken) = taken {
            if let Some(waited) = self.waiting.take() {
                self.credit.waited(waited.since.elapsed());
            }
            if let Ok(bytes) = &taken {
                self.credit.earned(*bytes);
            }
            return Poll::Ready(taken);
        }
        let waiting = self.waiting.get_or_insert_with(|| {
            let since = Instant::now();
            Waiting { since, end: Box::pin(sleep_until(since + self.credit.left())) }
        });
        ready!(waiting.end.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the answer is not taken, or too slowly")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.weigh(taken, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let taken = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.weigh(taken, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::sleep;

    /// What becomes of an answer of that length when so much of it is taken each second.
    async fn answered(length: usize, a_second: usize) -> io::Result<()> {
        let (mut reader, ours) = duplex(4096);
        let taking = async move {
            let mut piece = vec![0; a_second];
            while a_second > 0 && reader.read_exact(&mut piece).await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
            std::future::pending::<()>().await;
        };
        let answer = async move {
            let mut ours = Paced::new(ours);
            ours.write_all(&vec![0; length]).await
        };
        tokio::select! { done = answer => done, () = taking => unreachable!("it never ends") }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_cut_off_and_a_steady_one_is_not() {
        let begun = Instant::now();
        assert_eq!(answered(1 << 20, 0).await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), CREDIT.as_secs());
        // A byte now and then buys no time: it would take more than eleven days.
        let begun = Instant::now();
        assert_eq!(answered(1 << 20, 1).await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(begun.elapsed() < CREDIT * 2, "{:?}", begun.elapsed());
        let half = RATE as usize / 2;
        assert_eq!(answered(64 << 20, half).await.unwrap_err().kind(), ErrorKind::TimedOut);
        // Ten minutes at the pace that is asked for.
        answered(600 * RATE as usize, RATE as usize + 4096).await.unwrap();
    }
}
