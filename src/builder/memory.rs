//! How much memory a build may hold, and the errors for when that is too little.
//!
//! What is counted is what grows with the collection: ids, tokens, documents, runs, lists
//! in flight. Code, stacks and small buffers are one constant, [`Memory::BASE`].

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The limit of a build's resident memory, in bytes.
///
/// ```
/// use splindex::builder::Memory;
/// assert_eq!("1.5GiB".parse::<Memory>().unwrap().limit(), 3 << 29);
/// assert_eq!("500MB".parse::<Memory>().unwrap().limit(), 500_000_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    limit: u64,
}

impl Memory {
    /// Resident bytes of a program that builds nothing: measured 8 MiB for the code, and
    /// room for thread stacks and buffers of files.
    pub const BASE: u64 = 24 << 20;

    /// As much as it takes.
    pub const UNLIMITED: Memory = Memory { limit: u64::MAX };

    /// At most `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Memory { limit }
    }

    /// Half of the machine's memory, or of the container's if that is less; 4 GiB where
    /// the system does not say.
    pub fn of_machine() -> Self {
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|info| {
            let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
            Some(number(line.trim().strip_suffix("kB")?)? * 1024)
        });
        let container =
            std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|m| number(&m));
        let least = machine.into_iter().chain(container).min();
        Memory { limit: least.map_or(4 << 30, |bytes| bytes / 2) }
    }

    /// The limit itself.
    pub fn limit(self) -> u64 {
        self.limit
    }

    /// What is left beside `held` bytes that must stay.
    pub fn left(self, held: u64) -> u64 {
        self.limit.saturating_sub(Self::BASE).saturating_sub(held)
    }

    /// Refuses a step that needs `need` bytes beside `held`.
    pub(crate) fn check(self, held: u64, need: u64, what: impl fmt::Display) -> Result<()> {
        self.check_for(held, need, 0, what)
    }

    /// The same; the refusal asks for no less than `enough` beside the program, which is what
    /// the steps to come need.
    pub(crate) fn check_for(
        self,
        held: u64,
        need: u64,
        enough: u64,
        what: impl fmt::Display,
    ) -> Result<()> {
        if need <= self.left(held) {
            return Ok(());
        }
        let least = Self::BASE + enough.max(held + need);
        Err(Error::Usage(format!(
            "`memory` {self} is too small: {what} needs {}, ids, tokens and term statistics {}, \
             the program {}; give `memory` {} or more",
            Memory::new(need),
            Memory::new(held),
            Memory::new(Self::BASE),
            Memory::new((least + least / 20).next_multiple_of(1 << 20)),
        )))
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut value, mut unit) = (self.limit as f64, "B");
        for next in ["KiB", "MiB", "GiB"] {
            if value < 1024.0 {
                break;
            }
            (value, unit) = (value / 1024.0, next);
        }
        // Rounded up: what an error asks for must be enough.
        let value = (value * 10.0).ceil() / 10.0;
        if value.fract() == 0.0 {
            write!(f, "{value}{unit}")
        } else {
            write!(f, "{value:.1}{unit}")
        }
    }
}

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let bad = || format!("expected a size such as 8GiB, 800MiB or 500000000, found {text:?}");
        let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: f64 = number.parse().map_err(|_| bad())?;
        let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" => 1 << 10,
            "m" | "mib" => 1 << 20,
            "g" | "gib" => 1 << 30,
            "t" | "tib" => 1 << 40,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            _ => return Err(bad()),
        };
        Ok(Memory { limit: (number * factor as f64) as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_binary_and_decimal_units() {
        let limit = |text: &str| text.parse::<Memory>().map(Memory::limit);
        assert_eq!(limit("8GiB"), Ok(8 << 30));
        assert_eq!(limit("8g"), Ok(8 << 30));
        assert_eq!(limit("1 GB"), Ok(1_000_000_000));
        assert_eq!(limit("1234"), Ok(1234));
        for bad in ["", "GiB", "8 gigs", "-1", "1.2.3MiB"] {
            assert!(limit(bad).unwrap_err().contains("8GiB"), "{bad}");
        }
    }

    #[test]
    fn too_little_memory_is_refused_with_numbers_that_would_do() {
        let memory = Memory::new(100 << 20);
        assert!(memory.check(10 << 20, 60 << 20, "packing").is_ok());
        let message = memory.check(10 << 20, 100 << 20, "packing").unwrap_err().to_string();
        let asked = message.rsplit("`memory` ").next().unwrap().replace(" or more", "");
        let enough: Memory = asked.parse().unwrap();
        assert!(enough.check(10 << 20, 100 << 20, "packing").is_ok(), "{message}");
    }
}
