//! A build that is killed, at a report of its progress, leaves the older file and nothing that
//! the next build does not remove.
//!
//! The builds that die are processes of their own: this test binary, called for this test with a
//! variable that says where to die.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Signal, getpid, kill_process};
use splindex::builder::{BuildOptions, Collection, build_in};
use splindex::output::TEMP_PREFIX;
use splindex::progress::{Progress, Silent};
use splindex::synth::{DOCUMENTS, Plain, Profile, write};
use splindex::vectors::inputs::open_vectors;

const FOLDER: &str = "SPLINDEX_KILLED_FOLDER";
const REPORT: &str = "SPLINDEX_KILLED_REPORT";

/// Kills the process at a report.
struct DiesAt(AtomicU64);

impl DiesAt {
    fn report(&self) {
        if self.0.fetch_sub(1, Ordering::SeqCst) == 1 {
            kill_process(getpid(), Signal::KILL).unwrap();
        }
    }
}

impl Progress for DiesAt {
    fn begin(&self, _: &'static str, _: u64) {
        self.report();
    }

    fn advance(&self, _: u64) {
        self.report();
    }
}

/// The phase of each report, in order.
#[derive(Default)]
struct Phases(Mutex<Vec<&'static str>>);

impl Progress for Phases {
    fn begin(&self, phase: &'static str, _: u64) {
        self.0.lock().unwrap().push(phase);
    }

    fn advance(&self, _: u64) {
        let mut phases = self.0.lock().unwrap();
        let phase = *phases.last().unwrap();
        phases.push(phase);
    }
}

/// Makes the vectors of a collection in a folder.
fn make(dir: &Path, name: &str, documents: u64) {
    write(&Plain::new(Profile::ALL[0], documents, 3), documents, 0, &dir.join(name), &Silent)
        .unwrap();
}

/// Builds `x.spx` of such vectors, with documents and postings in temporary files of `tmp` where
/// they do not fit; their bytes.
fn build(dir: &Path, name: &str, progress: &dyn Progress) -> [u64; 2] {
    let (tmp, target) = (dir.join("tmp"), dir.join("x.spx"));
    let options = BuildOptions { memory: "64MiB".parse().unwrap(), ..BuildOptions::default() };
    // Each thread takes memory, and machines may have a hundred.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    pool.install(|| {
        let mut sources = open_vectors(&[dir.join(name).join(DOCUMENTS)]).unwrap().sources;
        let collection = Collection::read(&mut sources, &options, &tmp, progress).unwrap();
        build_in(&tmp, collection, None, &options, &target, progress).unwrap().spilled
    })
}

fn built_until(dir: &Path, report: u64) -> ExitStatus {
    let test = "killed::a_build_that_dies_leaves_the_older_file_and_nothing_for_the_next";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test]).env(FOLDER, dir).env(REPORT, report.to_string());
    command.output().unwrap().status
}

#[test]
fn a_build_that_dies_leaves_the_older_file_and_nothing_for_the_next() {
    if let (Ok(dir), Ok(report)) = (std::env::var(FOLDER), std::env::var(REPORT)) {
        build(dir.as_ref(), "large", &DiesAt(AtomicU64::new(report.parse().unwrap())));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (dir, file, tmp) = (dir.path(), dir.path().join("x.spx"), dir.path().join("tmp"));
    std::fs::create_dir(&tmp).unwrap();
    make(dir, "large", 16_000);
    make(dir, "small", 100);
    let phases = Phases::default();
    let spilled = build(dir, "large", &phases);
    assert!(spilled.iter().all(|&bytes| bytes > 0), "{spilled:?}");
    let whole = std::fs::read(&file).unwrap();
    build(dir, "small", &Silent);
    let older = std::fs::read(&file).unwrap();
    let leftovers = || {
        let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with(TEMP_PREFIX)).count()
    };
    let mut written = 0;
    let phases = phases.0.into_inner().unwrap();
    // Reports of reading are many and alike.
    let often = |i: usize| phases[i] != "reading" || i.is_multiple_of(16);
    let deaths: Vec<usize> = (0..phases.len()).filter(|&i| often(i)).collect();
    assert!(["reading", "inverting", "packing"].iter().all(|phase| phases.contains(phase)));
    for at in deaths {
        let phase = phases[at];
        assert!(!built_until(dir, at as u64 + 1).success(), "{phase}, report {at}");
        assert!(std::fs::read(&file).unwrap() == older, "{phase}, report {at}");
        assert_eq!(std::fs::read_dir(&tmp).unwrap().count(), 0, "{phase}, report {at}");
        // That of the build before is gone.
        assert!(leftovers() <= 1, "{phase}, report {at}");
        written += leftovers();
    }
    assert!(written > 0, "none died while it wrote its file");
    assert!(built_until(dir, u64::MAX).success());
    assert!(std::fs::read(&file).unwrap() == whole);
    assert_eq!(leftovers(), 0);
}
