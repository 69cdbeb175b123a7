//! Files that are no index, or a damaged one.

use std::fs;

use super::{index, spoil};
use crate::common::{Folder, SPLINDEX};

#[test]
fn files_that_are_no_index_are_refused() {
    let shop = Folder::new();
    let index = index(&shop);
    let bytes = fs::read(&index).unwrap();
    for (name, content, expected) in [
        (
            "text.spx",
            b"not an index, but long enough to have sixty-four bytes in it, really".to_vec(),
            "expected an index of splindex, found a text; `splindex build` makes",
        ),
        ("lines.spx", b"{\"id\":1}\n".to_vec(), "found JSON; `splindex build` makes"),
        (
            "pointer.spx",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n".to_vec(),
            "found a Git LFS pointer, not the file; git lfs pull gets the file",
        ),
        (
            "packed.spx",
            zstd::encode_all(&bytes[..], 1).unwrap(),
            "packed by zstd; unpack it: zstd -d",
        ),
        ("matrix.spx", b"PK\x03\x04\x14\0\0\0".to_vec(), "found a zip archive"),
        ("bytes.spx", vec![0xee; 80], "no .spx file"),
        ("empty.spx", Vec::new(), "expected a header of 64 bytes"),
        ("cut.spx", bytes[..bytes.len() - 20].to_vec(), "truncated"),
        ("half.spx", bytes[..bytes.len() / 2].to_vec(), "truncated"),
        ("newer.spx", spoil(&bytes, 8, 3), "format version 3.1, this program reads 2.1"),
        ("header.spx", spoil(&bytes, 40, 99), "checksum"),
    ] {
        shop.file(name, content);
        shop.refuses(SPLINDEX, &format!("inspect {name}"), &[name, expected]);
        let output = shop.splindex(&format!("verify {name} good.spx"));
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(name) && message.contains(expected), "{message}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("good.spx: checksums"));
    }
    shop.refuses(SPLINDEX, "verify gone.spx", &["gone.spx: no such file"]);
}

#[test]
fn verify_says_no_to_flipped_bits_with_exit_code_1() {
    let shop = Folder::new();
    let index = index(&shop);
    let bytes = fs::read(&index).unwrap();
    // The first section begins behind the header.
    shop.file("flipped.spx", spoil(&bytes, 64, bytes[64] ^ 1));
    let output = shop.splindex("verify flipped.spx");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("section POSTINGS at byte 64: expected checksum"), "{message}");
    assert!(shop.splindex("verify --deep good.spx").status.success());
}

#[test]
fn verify_checks_every_file_even_after_one_that_is_missing() {
    let shop = Folder::new();
    index(&shop);
    let output = shop.splindex("verify gone.spx good.spx");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("gone.spx"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("good.spx"));
}

#[test]
fn deep_verification_sees_a_flipped_bit_anywhere() {
    let shop = Folder::new();
    let bytes = fs::read(index(&shop)).unwrap();
    for at in (0..bytes.len()).step_by(7).chain([bytes.len() - 17]) {
        shop.file("flipped.spx", spoil(&bytes, at, bytes[at] ^ 0x10));
        let output = shop.splindex("verify --deep --quiet flipped.spx");
        assert_eq!(output.status.code(), Some(1), "a flipped bit at byte {at}");
    }
}

#[test]
fn damage_is_not_copied_into_a_sound_file() {
    let shop = Folder::new();
    index(&shop);
    let good = fs::read(shop.path("good.spx")).unwrap();
    for at in (good.len() / 8..good.len()).step_by(good.len() / 16) {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        shop.file("bad.spx", &bad);
        if shop.splindex("verify bad.spx").status.success() {
            continue; // padding
        }
        shop.refuses(SPLINDEX, "merge bad.spx --output m.spx", &["bad.spx"]);
        shop.refuses(SPLINDEX, "convert --input bad.spx --output m.jsonl", &["bad.spx"]);
    }
}
