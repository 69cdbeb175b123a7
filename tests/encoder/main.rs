//! The encoder held to its models' own code, to stored vectors and to a real checkpoint.

mod goldens;
mod oracle;
mod real;
