//! File header, section table entries and trailer, to the byte.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// First bytes of the file. As in PNG, a transfer that mangles line ends or the eighth
/// bit destroys them.
pub const MAGIC: [u8; 8] = [0x89, b'S', b'P', b'X', 0x0D, 0x0A, 0x1A, 0x0A];
/// A reader refuses another major version and accepts a newer minor one.
pub const MAJOR: u16 = 2;
/// See [`MAJOR`].
pub const MINOR: u16 = 1;
/// Reads as this number only on a machine of the same byte order.
pub const ENDIAN_TAG: u32 = 0x0102_0304;
/// Sections start at multiples of this; it is a cache line and an AVX-512 register.
pub const ALIGN: u64 = 64;

/// The first 64 bytes of the file.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`MAJOR`].
    pub major: U16,
    /// [`MINOR`].
    pub minor: U16,
    /// [`ENDIAN_TAG`].
    pub endian: U32,
    /// Features without which the file cannot be read: [`SKIP_DATA`], [`SUMMARY`].
    pub required: U32,
    /// Features that a reader may ignore; none are defined yet.
    pub optional: U32,
    /// Bytes in the file, trailer included.
    pub file_len: U64,
    /// Where the section table starts.
    pub table_offset: U64,
    /// Entries in the section table.
    pub sections: U32,
    /// First 16 bytes of BLAKE3 over all sections but PROVENANCE, in table order.
    pub content_id: [u8; 16],
    /// CRC-32 of the 60 bytes before it.
    pub crc: U32,
}

/// Bit of [`Header::required`]: frequent terms have skip data, and lists that earlier readers
/// do not know.
pub const SKIP_DATA: u32 = 1;

/// Bit of [`Header::required`]: the file is no index but what the parts of one collection have in
/// common: META, TERMS (df and largest impact), LEXICON and PROVENANCE.
pub const SUMMARY: u32 = 16;

/// Bytes of [`Header`].
pub const HEADER_LEN: usize = 64;
const _: () = assert!(size_of::<Header>() == HEADER_LEN);

impl Header {
    /// CRC-32 of the header without its last field.
    pub fn computed_crc(&self) -> u32 {
        crc32fast::hash(&self.as_bytes()[..HEADER_LEN - 4])
    }
}

/// One entry of the section table, 32 bytes.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Section {
    /// [`SectionKind`] as a number.
    pub kind: U32,
    /// Encoding of the section; 0 is the only one of every kind so far.
    pub codec: U32,
    /// First byte in the file, a multiple of [`ALIGN`].
    pub offset: U64,
    /// Bytes, without the padding behind them.
    pub len: U64,
    /// CRC-32 of those bytes.
    pub crc: U32,
    /// Zero.
    pub reserved: U32,
}

/// Bytes of [`Section`].
pub const SECTION_LEN: usize = 32;
const _: () = assert!(size_of::<Section>() == SECTION_LEN);

/// The last 16 bytes of the file: a truncated copy lacks them.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Trailer {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// Bytes in the file.
    pub file_len: U64,
}

/// Bytes of [`Trailer`].
pub const TRAILER_LEN: usize = 16;

macro_rules! section_kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $label:literal;)*) => {
        /// What a section holds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum SectionKind { $($(#[$doc])* $name = $number,)* }

        impl SectionKind {
            /// Every kind, in the order of their numbers.
            pub const ALL: &'static [SectionKind] = &[$(SectionKind::$name,)*];

            /// One more than the largest number: the length of an array by kind.
            pub const NUMBERS: usize = {
                let (mut numbers, mut at) = (0, 0);
                while at < Self::ALL.len() {
                    let number = Self::ALL[at] as usize;
                    numbers = if number >= numbers { number + 1 } else { numbers };
                    at += 1;
                }
                numbers
            };

            /// The name used in FORMAT.md and in errors.
            pub fn label(self) -> &'static str {
                match self { $(SectionKind::$name => $label,)* }
            }

            /// The kind with this number.
            pub fn from_number(number: u32) -> Option<Self> {
                match number { $($number => Some(SectionKind::$name),)* _ => None }
            }
        }
    };
}

section_kinds! {
    /// Build parameters and statistics (bincode).
    Meta = 1, "META";
    /// Tool version, model digests, input names (JSON); not part of the content id.
    Provenance = 2, "PROVENANCE";
    /// Posting lists, term after term.
    Postings = 3, "POSTINGS";
    /// Last docid of each block, u32.
    BlockLast = 4, "BLOCK_LAST";
    /// Byte offset of each block in its list, u32.
    BlockOffset = 5, "BLOCK_OFFSET";
    /// Largest impact of each block, u8.
    BlockMax = 6, "BLOCK_MAX";
    /// Byte offset of each window in its stream list, u32.
    Windows = 7, "WINDOWS";
    /// One record a term and a sentinel.
    Terms = 8, "TERMS";
    /// Sorted tokens.
    Lexicon = 9, "LEXICON";
    /// External document ids by ordinal, and their sorted order.
    Names = 10, "NAMES";
    /// Original ordinal of each docid, u32; absent when they are equal.
    Order = 11, "ORDER";
    /// `tokenizer.json` of the model, as it was.
    Tokenizer = 12, "TOKENIZER";
    /// Query weight of each token of an inference-free query side.
    QueryWeights = 13, "QUERY_WEIGHTS";
    /// Largest impacts of frequent terms in blocks of 16 or 32 documents, 4 bits; optional.
    SkipBlocks = 16, "SKIP_BLOCKS";
    /// Where the pairs of each unit of 256 documents begin; with SKIP_BLOCKS.
    SkipRuns = 17, "SKIP_RUNS";
    /// Attributes of documents, key by key; optional.
    Attributes = 18, "ATTRIBUTES";
}

/// Bytes as people see them: how content ids are shown.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl SectionKind {
    /// Whether its bytes are posting lists, or what is kept of each term, block or window:
    /// what "bytes a posting" counts.
    pub fn of_lists(self) -> bool {
        use SectionKind::*;
        matches!(
            self,
            Postings | Terms | BlockLast | BlockOffset | BlockMax | Windows | SkipBlocks | SkipRuns
        )
    }
}
