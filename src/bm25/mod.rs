//! BM25 as one more source of sparse vectors: analyzer and weights.
