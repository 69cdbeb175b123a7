//! Gzip members and zstd frames, one after another, up to the end of the input.
//!
//! Zero bytes behind a member are padding (tapes, block devices and some copies leave it),
//! as they are to gzip and to Python; anything else there is an error that says how much.

use std::fmt;
use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;
use zstd::stream::raw::{Decoder as Frame, InBuffer, Operation, OutBuffer};

/// How an input is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    /// What the first bytes of an input mean; four are enough.
    pub(crate) fn of(head: &[u8]) -> Self {
        match head[..] {
            [0x1f, 0x8b, ..] => Packing::Gzip,
            // A frame, or a skippable frame before it (parallel zstd writes those).
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Packing::Zstd,
            _ => Packing::None,
        }
    }

    fn part(self) -> &'static str {
        match self {
            Packing::None => "plain byte",
            Packing::Gzip => "gzip member",
            Packing::Zstd => "zstd frame",
        }
    }
}

/// Bytes behind the last member that are neither a member nor zeros.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trailing {
    last: Packing,
    bytes: u64,
}

impl fmt::Display for Trailing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.bytes == 1 { "" } else { "s" };
        write!(f, "{} byte{s} after the last {}", self.bytes, self.last.part())
    }
}

impl std::error::Error for Trailing {}

/// Reads what is packed in `R`: at least one member, of gzip or zstd.
pub(crate) struct Unpacker<R> {
    state: State<R>,
    /// What the last member was.
    last: Packing,
    /// A decoder that has come to the end of its frame: making one costs more than a small
    /// frame, and seekable files have many of those.
    spare: Option<Frame<'static>>,
}

/// Where an unpacker is.
enum State<R> {
    Between(Peeked<R>),
    Gzip(GzDecoder<Peeked<R>>),
    Zstd(Peeked<R>, Frame<'static>),
    Trailing(Trailing),
    Failed(Failure),
    Ended,
}

/// What a decoder or the system said: it says so once, and the end of the input after that.
#[derive(Debug, Clone)]
struct Failure {
    kind: io::ErrorKind,
    number: Option<i32>,
    message: String,
}

impl Failure {
    fn of(error: &io::Error) -> Self {
        let (kind, number) = (error.kind(), error.raw_os_error());
        Failure { kind, number, message: error.to_string() }
    }

    fn again(&self) -> io::Error {
        match self.number {
            Some(number) => io::Error::from_raw_os_error(number),
            None => io::Error::new(self.kind, self.message.clone()),
        }
    }
}

impl<R: BufRead> Unpacker<R> {
    /// Unpacks all of `bytes`, which are of `packing`.
    #[cfg(feature = "serve")]
    pub(crate) fn whole(bytes: R, packing: Packing) -> io::Result<Self> {
        Unpacker::new(Peeked::new(bytes), packing)
    }

    /// Unpacks `raw`, whose first bytes are of `packing`.
    pub(super) fn new(raw: Peeked<R>, packing: Packing) -> io::Result<Self> {
        let mut unpacker = Unpacker { state: State::Ended, last: packing, spare: None };
        unpacker.begin(raw, packing)?;
        Ok(unpacker)
    }

    fn begin(&mut self, raw: Peeked<R>, packing: Packing) -> io::Result<()> {
        self.last = packing;
        self.state = match packing {
            Packing::Zstd => {
                let mut frame = self.spare.take().map_or_else(Frame::new, Ok)?;
                frame.reinit()?;
                State::Zstd(raw, frame)
            }
            _ => State::Gzip(GzDecoder::new(raw)),
        };
        Ok(())
    }

    /// Behind a member: the next one, the end, or what should not be there.
    fn next(&mut self, mut raw: Peeked<R>) -> io::Result<()> {
        let zeros = raw.skip_zeros()?;
        let head = raw.peek(4)?;
        if head.is_empty() {
            self.state = State::Ended;
            return Ok(());
        }
        match Packing::of(head) {
            Packing::None => {
                let bytes = zeros + raw.count_rest()?;
                self.state = State::Trailing(Trailing { last: self.last, bytes });
                Ok(())
            }
            packing => self.begin(raw, packing),
        }
    }
}

impl<R: BufRead> Read for Unpacker<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let outcome = self.step(out);
        if let Err(error) = &outcome
            && error.kind() != io::ErrorKind::Interrupted
            && !matches!(self.state, State::Trailing(_) | State::Failed(_))
        {
            self.state = State::Failed(Failure::of(error));
        }
        outcome
    }
}

impl<R: BufRead> Unpacker<R> {
    fn step(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            match &mut self.state {
                State::Ended => return Ok(0),
                State::Failed(failure) => return Err(failure.again()),
                State::Trailing(trailing) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, *trailing));
                }
                State::Between(_) => {}
                State::Gzip(member) => match member.read(out)? {
                    0 => {}
                    n => return Ok(n),
                },
                State::Zstd(raw, frame) => match unpack(raw, frame, out)? {
                    (0, false) => continue,
                    (n, false) => return Ok(n),
                    (n, true) => {
                        self.between();
                        if n > 0 {
                            return Ok(n);
                        }
                    }
                },
            }
            self.between();
            if let State::Between(raw) = std::mem::replace(&mut self.state, State::Ended) {
                self.next(raw)?;
            }
        }
    }
}

impl<R> Unpacker<R> {
    /// The member has ended.
    fn between(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Ended) {
            State::Gzip(member) => State::Between(member.into_inner()),
            State::Zstd(raw, frame) => {
                self.spare = Some(frame);
                State::Between(raw)
            }
            other => other,
        };
    }
}

/// A step of a frame: bytes that came out, and whether the frame has ended.
fn unpack(
    raw: &mut impl BufRead,
    frame: &mut Frame<'static>,
    out: &mut [u8],
) -> io::Result<(usize, bool)> {
    let bytes = raw.fill_buf()?;
    let at_end = bytes.is_empty();
    let (mut input, mut output) = (InBuffer::around(bytes), OutBuffer::around(out));
    let left = frame.run(&mut input, &mut output)?;
    let (read, written) = (input.pos(), output.pos());
    raw.consume(read);
    if at_end && written == 0 && left != 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "incomplete frame"));
    }
    Ok((written, left == 0))
}

/// An input that can be looked at without reading on.
pub(super) struct Peeked<R> {
    head: Vec<u8>,
    at: usize,
    inner: R,
}

impl<R: BufRead> Peeked<R> {
    pub(super) fn new(inner: R) -> Self {
        Peeked { head: Vec::new(), at: 0, inner }
    }

    /// The next `n` bytes, or what there is before the end.
    pub(super) fn peek(&mut self, n: usize) -> io::Result<&[u8]> {
        self.head.drain(..self.at);
        self.at = 0;
        while self.head.len() < n {
            let bytes = match self.inner.fill_buf() {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if bytes.is_empty() {
                break;
            }
            let taken = bytes.len().min(n - self.head.len());
            self.head.extend_from_slice(&bytes[..taken]);
            self.inner.consume(taken);
        }
        Ok(&self.head)
    }

    /// Passes over zero bytes; how many there were.
    fn skip_zeros(&mut self) -> io::Result<u64> {
        self.skip(|bytes| bytes.iter().take_while(|&&byte| byte == 0).count())
    }

    /// Reads to the end; how many bytes that were.
    fn count_rest(&mut self) -> io::Result<u64> {
        self.skip(<[u8]>::len)
    }

    /// Passes over as many bytes as `wanted` says of what is there, until it says none.
    fn skip(&mut self, wanted: impl Fn(&[u8]) -> usize) -> io::Result<u64> {
        let mut skipped = 0;
        loop {
            let n = match self.fill_buf() {
                Ok(bytes) => wanted(bytes),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if n == 0 {
                return Ok(skipped);
            }
            self.consume(n);
            skipped += n as u64;
        }
    }
}

impl<R: BufRead> BufRead for Peeked<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match &self.head[self.at..] {
            [] => self.inner.fill_buf(),
            head => Ok(head),
        }
    }

    fn consume(&mut self, n: usize) {
        match self.at < self.head.len() {
            true => self.at += n,
            false => self.inner.consume(n),
        }
    }
}

impl<R: BufRead> Read for Peeked<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.head.len() {
            return self.inner.read(out);
        }
        let mut head = &self.head[self.at..];
        let n = head.read(out)?;
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(bytes).unwrap();
        gz.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    /// Unpacked with buffers of every small size, so that members meet their edges.
    fn unpacked(packed: &[u8]) -> Result<Vec<u8>, String> {
        let read = |capacity: usize| {
            let mut raw = Peeked::new(BufReader::with_capacity(capacity, packed));
            let packing = Packing::of(raw.peek(4).unwrap());
            let mut text = Vec::new();
            let outcome = Unpacker::new(raw, packing).unwrap().read_to_end(&mut text);
            outcome.map(|_| text).map_err(|e| e.to_string())
        };
        let first = read(1);
        for capacity in [2, 3, 7, 64, 4096] {
            assert_eq!(read(capacity), first, "buffer of {capacity}");
        }
        first
    }

    #[test]
    fn members_read_as_one_and_zeros_behind_them_are_padding() {
        for pack in [gzip as fn(&[u8]) -> Vec<u8>, zstd] {
            let two = [pack(b"ab"), pack(b""), pack(b"cd")].concat();
            assert_eq!(unpacked(&two).unwrap(), b"abcd");
            assert_eq!(unpacked(&[two.clone(), vec![0; 512]].concat()).unwrap(), b"abcd");
            let padded = [pack(b"ab"), vec![0; 3], pack(b"cd"), vec![0; 1]].concat();
            assert_eq!(unpacked(&padded).unwrap(), b"abcd");
        }
        let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc";
        assert_eq!(unpacked(&[&skippable[..], &zstd(b"x")].concat()).unwrap(), b"x");
        assert_eq!(unpacked(&[zstd(b"x"), gzip(b"y")].concat()).unwrap(), b"xy");
    }

    #[test]
    fn other_bytes_behind_the_last_member_are_counted() {
        for (pack, part) in [(gzip as fn(&[u8]) -> Vec<u8>, "gzip member"), (zstd, "zstd frame")] {
            let with = |tail: &[u8]| unpacked(&[&pack(b"ab"), tail].concat()).unwrap_err();
            assert_eq!(with(b"x"), format!("1 byte after the last {part}"));
            assert_eq!(with(b"\0\0more"), format!("6 bytes after the last {part}"));
        }
    }

    #[test]
    fn a_member_that_is_cut_off_is_an_error_at_every_byte() {
        let text = b"some text that is long enough to be cut somewhere".repeat(3);
        let mut named = flate2::GzBuilder::new()
            .filename("docs.tsv")
            .comment("a comment")
            .extra(*b"extra")
            .write(Vec::new(), flate2::Compression::fast());
        named.write_all(&text).unwrap();
        for packed in [gzip(&text), named.finish().unwrap(), zstd(&text)] {
            for end in 4..packed.len() {
                assert!(unpacked(&packed[..end]).is_err(), "cut at {end} of {}", packed.len());
                let (raw, packing) = (Peeked::new(&packed[..end]), Packing::of(&packed));
                let mut unpacker = Unpacker::new(raw, packing).unwrap();
                let first = io::copy(&mut unpacker, &mut io::sink()).unwrap_err();
                let again = unpacker.read(&mut [0; 8]).unwrap_err();
                assert_eq!(first.to_string(), again.to_string(), "cut at {end}");
            }
            let twice = [&packed[..], &packed[..packed.len() - 1]].concat();
            assert!(unpacked(&twice).is_err());
        }
    }

    #[test]
    fn an_error_is_repeated_and_never_becomes_an_end() {
        let packed = [gzip(b"ab"), b"tail".to_vec()].concat();
        let mut unpacker = Unpacker::new(Peeked::new(&packed[..]), Packing::Gzip).unwrap();
        let mut byte = [0; 8];
        assert_eq!(unpacker.read(&mut byte).unwrap(), 2);
        assert!(unpacker.read(&mut byte).is_err());
        assert!(unpacker.read(&mut byte).is_err());
    }
}
