//! Judgements, runs and measures.
