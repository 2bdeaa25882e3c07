//! Whose face it is: from detections and embeddings to decisions about people.
//!
//! Not here: pixels and networks (see `vision::model`), and what the appliance does with a decision.

mod face;

pub use face::{EMBEDDING_LENGTH, Embedding, Face, Rect, cosine};
