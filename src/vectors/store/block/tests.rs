use super::*;
use proptest::prelude::*;

fn record() -> impl Strategy<Value = VectorRecord> {
    ("\\PC{0,6}", prop::collection::btree_map(0u32..900, 0.001f32..9.0, 0..20)).prop_map(
        |(id, terms)| VectorRecord {
            id,
            terms: terms.keys().copied().collect(),
            weights: terms.values().copied().collect(),
        },
    )
}

fn decode(bytes: &[u8], tokens: usize) -> Result<Vec<VectorRecord>, String> {
    let header = BlockHeader::parse(bytes[..HEADER].try_into().unwrap())?;
    assert_eq!(header.body_len(), (bytes.len() - HEADER) as u128);
    let mut cursor = Cursor::open(&header, bytes[HEADER..].to_vec())?;
    let mut records = Vec::new();
    loop {
        let mut record = VectorRecord::default();
        if !cursor.read(&mut record, tokens)? {
            return Ok(records);
        }
        records.push(record);
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        records in prop::collection::vec(record(), 0..20),
        wide in any::<bool>(),
        half in any::<bool>(),
        texts in any::<bool>(),
    ) {
        let tokens = if wide { 100_000 } else { 900 };
        let format = if half { WeightFormat::F16 } else { WeightFormat::F32 };
        let mut bytes = Vec::new();
        let of = |i: usize| TextInfo {
            digest: TextDigest::whole(&format!("text {i}")),
            truncated: i.is_multiple_of(3),
            zeros: i as u64 % 2,
        };
        let infos: Vec<TextInfo> = (0..records.len()).filter(|_| texts).map(of).collect();
        let totals = write(7, &records, &infos, format, tokens, &mut bytes).unwrap();
        let mut want = records;
        if half {
            for w in want.iter_mut().flat_map(|r| &mut r.weights) {
                *w = f16::from_f32(*w).to_f32();
            }
        }
        let got = decode(&bytes, tokens).unwrap();
        prop_assert_eq!(&got, &want);
        let header = BlockHeader::parse(bytes[..HEADER].try_into().unwrap()).unwrap();
        let head = Head::open(&header, &bytes[HEADER..HEADER + header.head_len() as usize]).unwrap();
        let ids: Vec<&[u8]> = head.ids().collect();
        prop_assert_eq!(ids, want.iter().map(|r| r.id.as_bytes()).collect::<Vec<_>>());
        let known: Vec<_> =
            head.texts().map(|(d, n)| (d, n.truncated(), n.zeros().unwrap())).collect();
        let expected: Vec<_> = infos.iter().map(|t| (t.digest, t.truncated, t.zeros)).collect();
        prop_assert_eq!(known, expected);
        let truncated = infos.iter().filter(|text| text.truncated).count() as u64;
        prop_assert_eq!((totals.truncated, totals.zeros), (truncated, infos.iter().map(|t| t.zeros).sum()));
        // Any record by its number, forwards and backwards.
        let mut cursor = Cursor::open(&header, bytes[HEADER..].to_vec()).unwrap();
        for i in (0..want.len()).chain((0..want.len()).rev()).step_by(2) {
            let mut record = VectorRecord::default();
            cursor.read_at(i as u32, &mut record, tokens).unwrap();
            prop_assert_eq!((&record.terms, &record.weights), (&want[i].terms, &want[i].weights));
        }
        let largest = want.iter().flat_map(|r| &r.weights).fold(0f32, |a, &b| a.max(b));
        prop_assert_eq!(totals.largest_weight, largest);
        prop_assert_eq!(totals.postings, want.iter().map(|r| r.terms.len() as u64).sum::<u64>());
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed(bit in 0usize..8 * 100) {
        let records = [VectorRecord {
            id: "a document".into(),
            terms: vec![1, 2, 3, 4, 5, 6, 7, 8],
            weights: vec![0.5; 8],
        }];
        let mut bytes = Vec::new();
        write(0, &records, &[TextInfo::default()], WeightFormat::F32, 900, &mut bytes).unwrap();
        let bit = bit % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let header = BlockHeader::parse(bytes[..HEADER].try_into().unwrap());
        let outcome = header.and_then(|h| Cursor::open(&h, bytes[HEADER..].to_vec()));
        prop_assert!(outcome.is_err());
    }
}

#[test]
fn weights_that_f16_loses_are_dropped_or_refused() {
    let record = |weight| [VectorRecord { id: "d".into(), terms: vec![3], weights: vec![weight] }];
    let mut bytes = Vec::new();
    let totals = write(0, &record(1e-9), &[], WeightFormat::F16, 9, &mut bytes).unwrap();
    assert_eq!((totals.zeros, totals.postings, totals.empty), (1, 0, 1));
    let e = write(0, &record(70000.0), &[], WeightFormat::F16, 9, &mut bytes).unwrap_err();
    assert_eq!(e.to_string(), "the weight 70000 of document \"d\" does not fit `weights` f16");
}

#[test]
fn small_integers_are_noticed() {
    let of = |weights: Vec<f32>| {
        let terms = (0..weights.len() as u32).collect();
        let records = [VectorRecord { id: "d".into(), terms, weights }];
        write(0, &records, &[], WeightFormat::F32, 9, &mut Vec::new()).unwrap().small_integers
    };
    assert!(of(vec![1.0, 255.0]));
    assert!(!of(vec![1.0, 1.5]));
    assert!(!of(vec![256.0]));
}
