//! The read side of an `.spx` file: open, verify, terms, posting lists.
