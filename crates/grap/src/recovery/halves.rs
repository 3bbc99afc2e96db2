//! What is asked of the two directories of a database by name.

use std::path::Path;

use grap_core::recovery::Identity;
use grap_disk as disk;

use crate::error::Result;

/// The mode of what is made for them: a database lies in it that is otherwise encrypted.
pub(super) const PRIVATE: u32 = 0o700;

/// What has this name. A symbolic link is what it is.
pub(super) fn identity(path: &Path) -> Result<Option<Identity>> {
    let of = |stat: disk::Stat| Identity {
        inode: stat.inode,
        born: stat.born.and_then(|born| i64::try_from(born).ok()),
    };
    Ok(disk::stat_link(path)?.map(of))
}

/// Whether it is the same thing. The time of birth counts where both have one: a kernel may not tell it any more.
pub(super) fn is(one: Option<Identity>, other: Option<Identity>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            one.inode == other.inode && one.born.zip(other.born).is_none_or(|(one, other)| one == other)
        }
        (None, None) => true,
        _ => false,
    }
}

pub(super) fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}
