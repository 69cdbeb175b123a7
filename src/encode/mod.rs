//! The encoder: masked-LM checkpoints to SPLADE vectors.
