//! The directories of a snapshot, from the paths of its files.

use std::collections::BTreeMap;

use grap_disk as disk;
use grap_repository::{FileContent, Meta, Node, TreeId, Writer};
use jiff::Timestamp;

/// Files by their path; a directory is there when a file is in it.
pub struct SnapshotTree {
    /// Of what no file on disk stands behind.
    own: Meta,
    root: Directory,
}

#[derive(Default)]
struct Directory {
    files: Vec<Node>,
    directories: BTreeMap<String, Directory>,
}

impl SnapshotTree {
    pub fn new(time: Timestamp) -> Self {
        Self { own: Meta { mode: 0o644, modified: time, uid: 0, gid: 0 }, root: Directory::default() }
    }

    /// A file of the database, as it was on disk.
    pub fn add(&mut self, path: &str, stat: &disk::Stat, content: &FileContent) {
        let modified = Timestamp::from_nanosecond(stat.modified).unwrap_or(Timestamp::UNIX_EPOCH);
        let meta = Meta { mode: stat.mode, modified, uid: stat.uid, gid: stat.gid };
        self.put(path, &meta, content);
    }

    /// A file of our own.
    pub fn add_own(&mut self, path: &str, content: &FileContent) {
        let meta = self.own.clone();
        self.put(path, &meta, content);
    }

    fn put(&mut self, path: &str, meta: &Meta, content: &FileContent) {
        let mut directory = &mut self.root;
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
        for parent in parents.split('/').filter(|parent| !parent.is_empty()) {
            directory = directory.directories.entry(parent.to_owned()).or_default();
        }
        directory.files.push(Node::file(name, meta, content));
    }

    /// Store the directories, the innermost first.
    pub fn save(self, writer: &mut Writer<'_>) -> grap_repository::Result<TreeId> {
        let meta = Meta { mode: 0o755, ..self.own };
        save(self.root, &meta, writer)
    }
}

fn save(directory: Directory, meta: &Meta, writer: &mut Writer<'_>) -> grap_repository::Result<TreeId> {
    let mut nodes = directory.files;
    for (name, child) in directory.directories {
        let tree = save(child, meta, writer)?;
        nodes.push(Node::dir(&name, meta, tree));
    }
    writer.save_tree(nodes)
}
