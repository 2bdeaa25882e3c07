//! Whether a device or file has come, gone or changed since it was last tried.
//!
//! Not here: opening it.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::logic::source::{Device, Spec};

/// What a device or file looks like from outside; a change means that opening it may work now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Trace(Vec<(PathBuf, Option<Mark>)>);

/// Number and last change (seconds, nanoseconds) of a file's or node's entry.
type Mark = (u64, i64, i64);

impl Trace {
    /// Looks now. Costs a `stat`, or one for each video device.
    pub(super) fn of(spec: &Spec) -> Self {
        let look = |path: PathBuf| {
            let seen = std::fs::metadata(&path).ok().map(|at| (at.ino(), at.ctime(), at.ctime_nsec()));
            (path, seen)
        };
        match spec {
            Spec::V4l2 { device: Device::Path(path), .. } | Spec::File(path) => {
                Self(vec![look(path.clone())])
            }
            Spec::V4l2 { device: Device::First, .. } => {
                let mut nodes: Vec<_> = std::fs::read_dir("/dev").into_iter().flatten().flatten().collect();
                nodes.retain(|node| node.file_name().to_string_lossy().starts_with("video"));
                nodes.sort_by_key(std::fs::DirEntry::file_name);
                Self(nodes.into_iter().map(|node| look(node.path())).collect())
            }
            Spec::Demo { .. } | Spec::Libcamera(_) => Self::default(),
        }
    }
}
