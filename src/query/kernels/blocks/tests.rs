use super::*;
use crate::format::skip::UNITS;
use proptest::prelude::*;

fn bytes(len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(255)], len)
}

fn rows<const BYTES: usize>() -> impl Strategy<Value = Vec<(Vec<u8>, [u8; 16])>> {
    let adds = prop::array::uniform16(prop_oneof![0u8..60, any::<u8>()]);
    prop::collection::vec((bytes(3 * BYTES), adds), 0..4)
}

fn as_rows<const BYTES: usize>(rows: &[(Vec<u8>, [u8; 16])]) -> Vec<Row<'_, BYTES>> {
    rows.iter().map(|(row, adds)| Row { lines: row.as_chunks().0, adds: *adds }).collect()
}

proptest! {
    #[test]
    fn bounds_of_units_are_the_same_on_every_level(
        maxima in bytes(200),
        weight in any::<u16>(),
        start in any::<u16>(),
    ) {
        let mut expected = vec![start; 200];
        for (bound, &max) in expected.iter_mut().zip(&maxima) {
            let add = u64::from(max) * 256 * u64::from(weight) / 65_536;
            *bound = (u64::from(*bound) + add).min(65_535) as u16;
        }
        for level in SimdLevel::available() {
            let mut bounds = vec![start; 200];
            add_units(level, &maxima, weight, &mut bounds);
            prop_assert_eq!(&bounds, &expected);
            let mut groups = Vec::new();
            group_maxima(level, &bounds, &mut groups);
            let most = bounds.chunks(64).map(|group| *group.iter().max().unwrap());
            prop_assert_eq!(groups, most.collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_sweep_is_the_same_on_every_level(
        fine in rows::<64>(),
        coarse in rows::<32>(),
        start in bytes(3 * LINE),
        units in prop::collection::vec(0u16..9, 3 * LINE_UNITS),
        least in 0u16..9,
        keep in any::<bool>(),
    ) {
        let (fine, coarse) = (as_rows(&fine), as_rows(&coarse));
        let units = units.as_chunks::<LINE_UNITS>().0;
        let mut expected: Option<Vec<(usize, [u32; 4])>> = None;
        for level in SimdLevel::available() {
            let (mut added, mut found) = (start.clone(), Vec::new());
            let added_lines = added.as_chunks_mut().0;
            let rows = (&fine[..], &coarse[..]);
            let mut left = units.to_vec();
            sweep(level, rows, (&mut left, least), (added_lines, keep), |line, masks, added| {
                assert!(added[..] == start[line * LINE..][..LINE]);
                found.push((line, masks));
            });
            for (line, (before, left)) in units.iter().zip(&left).enumerate() {
                let promising = *before.iter().max().unwrap() >= least;
                prop_assert_eq!(*left, if promising { [0; LINE_UNITS] } else { *before });
                let kept = &start[line * LINE..][..LINE];
                let cleared = &[0; LINE][..];
                let expected = if keep && !promising { kept } else { cleared };
                prop_assert_eq!(&added[line * LINE..][..LINE], expected);
            }
            prop_assert_eq!(&found, expected.get_or_insert_with(|| found.clone()), "{:?}", level);
        }
        // By the definition of the rows.
        let found = expected.unwrap();
        for line in 0..3 {
            let masks = found.iter().find(|(at, _)| *at == line).map_or([0; 4], |found| found.1);
            let promising = *units[line].iter().max().unwrap() >= least;
            for block in 0..LINE {
                let (chunk, i) = (block / 64, block % 64);
                let place = 64 * chunk + 32 * (i % 2) + i / 2;
                let mut sum = u32::from(start[line * LINE + place]);
                for row in &fine {
                    let byte = row.lines[line][32 * chunk + i / 2];
                    sum += u32::from(row.adds[usize::from(byte >> (4 * (i % 2)) & 15)]);
                }
                for row in &coarse {
                    let byte = row.lines[line][16 * chunk + i / 2 % 16];
                    sum += u32::from(row.adds[usize::from(byte >> (4 * (i / 32)) & 15)]);
                }
                let full = masks[2 * chunk + i % 2] >> (i / 2) & 1 == 1;
                prop_assert_eq!(full, promising && sum >= 255, "line {} block {}", line, block);
            }
        }
    }

    #[test]
    fn bounds_of_a_unit_are_the_same_on_every_level(
        rows in prop::collection::vec((bytes(40), prop::array::uniform16(any::<u32>())), 0..5),
        at in 0usize..45,
        start in prop::array::uniform16(any::<u32>()),
    ) {
        let rows: Vec<ScoredRow<'_>> = rows.iter().map(|(row, scores)| (&row[..], *scores)).collect();
        for halves in [Halves::Both, Halves::Lower, Halves::Upper] {
            let mut expected = start;
            for (row, scores) in rows.iter().filter(|(row, _)| at + 8 <= row.len()) {
                for (block, sum) in expected.iter_mut().enumerate() {
                    let byte = row[at + block / 2];
                    let upper = halves == Halves::Upper || halves == Halves::Both && block % 2 == 1;
                    let steps = if upper { byte >> 4 } else { byte & 15 };
                    *sum = sum.wrapping_add(scores[usize::from(steps)]);
                }
            }
            for level in SimdLevel::available() {
                let mut sums = start;
                add_unit(level, &rows, (at, halves), &mut sums);
                prop_assert_eq!(sums, expected, "{:?}", level);
            }
        }
    }

    #[test]
    fn pairs_are_found_on_every_level(
        counts in prop::collection::vec(
            prop_oneof![0u16..9, Just(254), Just(256), 0u16..255], 2 * UNITS),
        firsts in prop::array::uniform2(0u32..1_000),
        blocks in prop::collection::vec(0u32..2 * UNITS as u32 * 16 + 40, 0..20),
        cut in prop_oneof![Just(0usize), 0usize..2_000],
    ) {
        let runs: Vec<Runs> = counts.chunks(UNITS).map(|counts| Runs {
            counts: std::array::from_fn(|unit| counts[unit].min(255) as u8),
        }).collect();
        let windows = firsts.map(|first| 2 * first);
        let pairs = (firsts[1] as usize + counts.iter().map(|&c| usize::from(c)).sum::<usize>())
            .saturating_sub(cut);
        let asked: Vec<Job> = blocks.iter().map(|&at| Job { at, ..Job::default() }).collect();
        let expected: Option<Vec<(u32, u16, u8)>> = blocks.iter().map(|&block| {
            let unit = block as usize / 16;
            let window = unit / UNITS;
            let before: usize =
                counts.get(window * UNITS..unit)?.iter().map(|&c| usize::from(c)).sum();
            let at = *firsts.get(window)? as usize + before;
            (at + usize::from(counts[unit]) <= pairs)
                .then_some((at as u32, counts[unit], (block % 16) as u8))
        }).collect();
        for level in SimdLevel::available() {
            let mut jobs = asked.clone();
            let found = find_pairs(level, &windows, &runs, pairs, &mut jobs)
                .map(|()| jobs.iter().map(|job| (job.at, job.len, job.block)).collect::<Vec<_>>());
            prop_assert_eq!(&found, &expected, "{:?}", level);
        }
    }

    #[test]
    fn pairs_of_a_block_are_added_on_every_level(
        units in prop::collection::vec(prop::collection::btree_map(any::<u8>(), any::<u8>(), 0..257), 1..6),
        blocks in prop::collection::vec((any::<prop::sample::Index>(), 0u8..16), 0..20),
        weight in 0u32..=65_535,
    ) {
        let pairs: Vec<[u8; 2]> =
            units.iter().flat_map(|unit| unit.iter().map(|(&position, &impact)| [position, impact])).collect();
        let start_of = |unit: usize| units[..unit].iter().map(|unit| unit.len()).sum::<usize>();
        let mut expected = vec![Scores::default(); 20];
        let mut jobs = Vec::new();
        for (slot, (unit, block)) in blocks.iter().enumerate() {
            let unit = unit.index(units.len());
            let (at, len) = (start_of(unit) as u32, units[unit].len() as u16);
            jobs.push(Job { at, len, slot: slot as u8, block: *block });
            for (&position, &impact) in &units[unit] {
                if position / 16 == *block {
                    expected[slot].0[usize::from(position % 16)] += weight * u32::from(impact);
                }
            }
        }
        for level in SimdLevel::available() {
            let mut scores = vec![Scores::default(); 20];
            add_pairs(level, &pairs, &jobs, weight, &mut scores);
            prop_assert_eq!(&scores, &expected, "{:?}", level);
            let mut tops = vec![0; 20];
            best(level, &scores, &jobs, &mut tops);
            for job in &jobs {
                let slot = usize::from(job.slot);
                prop_assert_eq!(Some(&tops[slot]), scores[slot].0.iter().max());
            }
        }
    }

    #[test]
    fn bits_of_a_block_are_added_on_every_level(
        blocks in prop::collection::vec(prop_oneof![any::<u16>(), Just(0), Just(u16::MAX)], 1..30),
        impacts in bytes(500),
        weight in 0u32..=65_535,
    ) {
        let mut expected = vec![Scores::default(); 30];
        let (mut jobs, mut at) = (Vec::new(), 0);
        for (slot, &bits) in blocks.iter().enumerate() {
            jobs.push(Job { at: at as u32, len: bits, slot: slot as u8, block: 0 });
            for document in (0..16).filter(|document| bits >> document & 1 == 1) {
                expected[slot].0[document] += weight * u32::from(impacts[at]);
                at += 1;
            }
        }
        // The last block ends with the impacts.
        let impacts = &impacts[..at];
        for level in SimdLevel::available() {
            let mut scores = vec![Scores::default(); 30];
            add_bits(level, impacts, &jobs, weight, &mut scores);
            prop_assert_eq!(&scores, &expected, "{:?}", level);
        }
    }
}
