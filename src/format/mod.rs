//! The bytes of an `.spx` file; FORMAT.md is the specification.
