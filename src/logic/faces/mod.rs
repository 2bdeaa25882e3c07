//! Whose face it is: from detections and embeddings to decisions about people.
//!
//! `face` is the vocabulary; `quality` says what a face is good for; `gallery` whom it is like; `verdict` what several looks say
//! together; `track` and `tracker` follow faces over frames and tell each decision once; `ground` and `still` say which places do not
//! count. `training` is what people may ask, `refusal` why a photograph does not count, `template` what becomes of those that do, and
//! `self_test` how well the household can be told apart.
//!
//! Not here: pixels and networks (see `vision::model`), and what the appliance does with a decision.

pub mod decision;
mod face;
pub mod gallery;
mod ground;
pub mod likeness_table;
pub mod name;
pub mod quality;
mod refusal;
pub mod self_test;
mod slug;
mod still;
mod telling;
pub mod template;
mod track;
pub mod tracker;
pub mod training;
pub mod verdict;

pub use decision::{Decision, Kind, Rule};
pub use face::{EMBEDDING_LENGTH, Embedding, Face, PixelRect, cosine};
pub use gallery::{Gallery, PersonId};
pub use ground::Ground;
pub use refusal::Refusal;
pub use self_test::SelfTest;
pub use slug::{plain_letters, slug, slug_or};
pub use tracker::Tracker;
