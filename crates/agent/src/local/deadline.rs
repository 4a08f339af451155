//! A stream on which all that is read and written together has one time.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// A stream that fails with `TimedOut` once its time is over, however little comes at a time.
pub(super) struct Timed<'s> {
    stream: &'s UnixStream,
    until: Instant,
}

impl<'s> Timed<'s> {
    pub(super) fn new(stream: &'s UnixStream, time: Duration) -> Self {
        Self { stream, until: Instant::now() + time }
    }

    /// What is left, which is never nothing.
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_millis(100);

    /// What this process's own clock may add.
    const SLACK: Duration = Duration::from_secs(5);

    #[test]
    fn one_byte_after_the_other_wins_no_time() {
        let (mut slow, ours) = UnixStream::pair().unwrap();
        let writer = std::thread::spawn(move || {
            let mut sent = 0_u32;
            while slow.write_all(b"x").is_ok() {
                sent += 1;
                std::thread::sleep(TIME / 20);
            }
            sent
        });
        let start = Instant::now();
        let error = Timed::new(&ours, TIME).read_exact(&mut [0; 1 << 16]).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{error}");
        assert!(start.elapsed() < TIME + SLACK, "{:?}", start.elapsed());
        drop(ours);
        assert!(writer.join().unwrap() > 0);
    }

    #[test]
    fn who_does_not_read_wins_none_either() {
        let (_deaf, ours) = UnixStream::pair().unwrap();
        let start = Instant::now();
        let error = Timed::new(&ours, TIME).write_all(&vec![0; 16 << 20]).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{error}");
        assert!(start.elapsed() < TIME + SLACK, "{:?}", start.elapsed());
    }
}
