//! What a figure depends on besides the code: the machine it was measured on.

use std::path::Path;

use serde::Serialize;

use crate::query::SimdLevel;

/// Facts of this machine; `None` where the system does not say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// Version of this crate.
    pub splindex: &'static str,
    /// Processor model.
    pub cpu: Option<String>,
    /// Cores that this process may use.
    pub cores: usize,
    /// Instruction set of the kernels.
    pub simd: &'static str,
    /// Size of each data cache of the first core, nearest first, as the system writes it.
    pub caches: Vec<String>,
    /// Memory, GiB.
    pub memory_gib: Option<f64>,
    /// Clock governor.
    pub governor: Option<String>,
    /// Kernel name and version.
    pub kernel: Option<String>,
    /// Transparent huge pages: always, madvise or never.
    pub huge_pages: Option<String>,
    /// Whether a hypervisor is below.
    pub virtual_machine: Option<bool>,
    /// Processes that wanted a core in the last minute, when the run began.
    pub load: Option<f64>,
}

impl Machine {
    /// Reads the facts of this machine; `simd` is what the kernels use.
    pub fn read(simd: SimdLevel) -> Self {
        let cpuinfo = text("/proc/cpuinfo");
        let field = |name: &str| field(cpuinfo.as_deref()?, name);
        let words = |path| -> Option<Vec<String>> {
            Some(text(path)?.split_whitespace().map(str::to_owned).collect())
        };
        let kernel = text("/proc/sys/kernel/osrelease").map(|version| format!("Linux {version}"));
        Machine {
            splindex: env!("CARGO_PKG_VERSION"),
            cpu: field("model name"),
            cores: std::thread::available_parallelism().map_or(1, |n| n.get()),
            simd: simd.name(),
            caches: caches(Path::new("/sys/devices/system/cpu/cpu0/cache")),
            memory_gib: text("/proc/meminfo").and_then(|info| {
                let kib = info.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
                Some(kib.split_whitespace().next()?.parse::<f64>().ok()? / 1048576.0)
            }),
            governor: text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            kernel,
            huge_pages: words("/sys/kernel/mm/transparent_hugepage/enabled").and_then(|words| {
                words.iter().find_map(|w| Some(w.strip_prefix('[')?.strip_suffix(']')?.to_owned()))
            }),
            virtual_machine: field("flags").map(|f| f.split(' ').any(|flag| flag == "hypervisor")),
            load: words("/proc/loadavg").and_then(|words| words.first()?.parse().ok()),
        }
    }

    /// (name, value) of every fact, for people.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let say = |value: &Option<String>| value.clone().unwrap_or_else(|| "not exposed".into());
        let or = |value: Option<String>| say(&value);
        vec![
            ("processor", say(&self.cpu)),
            ("cores", self.cores.to_string()),
            ("instructions", self.simd.to_owned()),
            ("data caches", or(Some(self.caches.join(", ")).filter(|c| !c.is_empty()))),
            ("memory", or(self.memory_gib.map(|gib| format!("{gib:.1} GiB")))),
            ("governor", say(&self.governor)),
            ("kernel", say(&self.kernel)),
            ("huge pages", say(&self.huge_pages)),
            (
                "virtual machine",
                or(self.virtual_machine.map(|v| if v { "yes" } else { "no" }.into())),
            ),
            ("load at start", or(self.load.map(|load| format!("{load:.2}")))),
            ("splindex", self.splindex.to_owned()),
        ]
    }
}

fn text(path: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// First value of a `name : value` line.
fn field(info: &str, name: &str) -> Option<String> {
    info.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

fn caches(dir: &Path) -> Vec<String> {
    let cache = |i: usize| {
        let read = |name: &str| text(dir.join(format!("index{i}")).join(name));
        let (kind, level, size) = (read("type")?, read("level")?, read("size")?);
        Some((kind, format!("L{level} {size}")))
    };
    let data = |(kind, cache): (String, String)| (kind != "Instruction").then_some(cache);
    (0..8).map_while(cache).filter_map(data).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let info = "model\t\t: 167\nmodel name\t: Some CPU @ 2: fast\nflags\t: a b\n";
        assert_eq!(field(info, "model name").as_deref(), Some("Some CPU @ 2: fast"));
        assert_eq!(field(info, "model").as_deref(), Some("167"));
        assert_eq!(field(info, "name"), None);
    }

    #[test]
    fn caches_of_instructions_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        for (i, (kind, level, size)) in
            [("Data", "1", "48K"), ("Instruction", "1", "64K"), ("Unified", "2", "2048K")]
                .into_iter()
                .enumerate()
        {
            let index = dir.path().join(format!("index{i}"));
            std::fs::create_dir(&index).unwrap();
            for (name, value) in [("type", kind), ("level", level), ("size", size)] {
                std::fs::write(index.join(name), format!("{value}\n")).unwrap();
            }
        }
        assert_eq!(caches(dir.path()), ["L1 48K", "L2 2048K"]);
        assert_eq!(caches(Path::new("/nowhere")), [""; 0]);
    }

    #[test]
    fn every_fact_has_a_value_for_people() {
        let facts = Machine::read(SimdLevel::Scalar).facts();
        assert!(facts.iter().all(|(_, value)| !value.is_empty()), "{facts:?}");
    }
}
