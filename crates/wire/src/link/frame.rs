//! Messages on a byte stream: a little-endian length of four bytes, then the message.

use std::io::{self, Read, Write};

use prost::Message;

/// No frame is longer, so that a lying length can't take the receiver's memory.
pub const LARGEST: usize = 16 << 20;

/// One message as a frame.
///
/// # Errors
/// When the message is longer than [`LARGEST`].
pub fn encode(message: &impl Message) -> io::Result<Vec<u8>> {
    let length = message.encoded_len();
    if length > LARGEST {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("a message of {length} bytes is too long"),
        ));
    }
    let mut frame = Vec::with_capacity(4 + length);
    frame.extend_from_slice(&(length as u32).to_le_bytes());
    message.encode(&mut frame).map_err(io::Error::other)?;
    Ok(frame)
}

/// Checks a frame's length as it stands in its head.
///
/// # Errors
/// When it is longer than [`LARGEST`].
pub fn length(head: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(head) as usize;
    if length > LARGEST {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a frame of {length} bytes is too long"),
        ));
    }
    Ok(length)
}

/// One message without a length: for packets and sealed files, which have their own.
pub fn body(message: &impl Message) -> Vec<u8> {
    message.encode_to_vec()
}

/// Decodes a frame's body.
///
/// # Errors
/// `InvalidData` when it is no such message.
pub fn decode<M: Message + Default>(body: &[u8]) -> io::Result<M> {
    M::decode(body).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Writes one message.
///
/// # Errors
/// Those of the stream, and a message that is too long.
pub fn write(stream: &mut impl Write, message: &impl Message) -> io::Result<()> {
    stream.write_all(&encode(message)?)
}

/// Reads one message; `None` at the end of the stream between two messages.
///
/// # Errors
/// Those of the stream, a frame that is too long or no such message, an end within a frame.
pub fn read<M: Message + Default>(stream: &mut impl Read) -> io::Result<Option<M>> {
    let mut head = [0; 4];
    let mut filled = 0;
    while filled < head.len() {
        match stream.read(&mut head[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut body = vec![0; length(head)?];
    stream.read_exact(&mut body)?;
    decode(&body).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::v1::Position;

    #[test]
    fn what_is_written_is_read() {
        let sent = Position { epoch: 3, generation: 700 };
        let mut stream = Vec::new();
        write(&mut stream, &sent).unwrap();
        write(&mut stream, &sent).unwrap();
        let mut stream = stream.as_slice();
        assert_eq!(read::<Position>(&mut stream).unwrap(), Some(sent));
        assert_eq!(read::<Position>(&mut stream).unwrap(), Some(sent));
        assert_eq!(read::<Position>(&mut stream).unwrap(), None);
    }

    #[test]
    fn a_lying_length_and_a_torn_frame_are_errors() {
        assert!(read::<Position>(&mut [255, 255, 255, 255].as_slice()).is_err());
        assert!(read::<Position>(&mut [9, 0, 0, 0, 1].as_slice()).is_err());
        assert!(read::<Position>(&mut [9, 0].as_slice()).is_err());
    }
}
