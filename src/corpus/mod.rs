//! Text records in: TSV and JSON Lines, plain, .gz or .zst, from files or standard input.
