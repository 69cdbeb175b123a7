//! The encoder held to its models' own code, to stored vectors and to a real checkpoint.

mod fuzz_tokenizer;
mod goldens;
#[path = "../mutations/mod.rs"]
mod mutations;
mod oracle;
mod padded;
#[path = "../random/mod.rs"]
#[allow(dead_code)] // The other test programs use the rest of it.
mod random;
mod real;
