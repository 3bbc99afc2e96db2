//! From each snapshot down: is every tree whole, is every chunk of every file there, and if not, whose is it?
//!
//! A directory that several snapshots share is looked at once; what was found below it is remembered by path.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::Lost;
use super::report::{Affected, DamageNumber, Damages};
use crate::error::{RepositoryError, Result};
use crate::format::id::{Id, TreeId};
use crate::format::pack::BlobKind;
use crate::format::snapshot::Snapshot;
use crate::format::tree::{Node, NodeKind, Tree};
use crate::index::Index;
use crate::object::ObjectError;
use crate::read::Decoder;
use crate::repository::{Repository, object_name};

/// Deeper directories than any system can open are not followed.
const DEPTH_MAX: usize = 1000;

/// Paths below a directory that are hurt, each by which damage.
type Hurt = Rc<Vec<(String, DamageNumber)>>;

pub(super) struct Walk<'a> {
    decoder: Decoder<'a>,
    index: &'a Index,
    lost: &'a Lost,
    damages: &'a mut Damages,
    seen: HashMap<TreeId, Hurt>,
    used_packs: HashSet<usize>,
    missing: Option<DamageNumber>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        repository: &'a Repository,
        index: &'a Index,
        lost: &'a Lost,
        damages: &'a mut Damages,
    ) -> Result<Self> {
        let decoder = Decoder::new(&repository.inner, index)?;
        Ok(Self {
            decoder,
            index,
            lost,
            damages,
            seen: HashMap::new(),
            used_packs: HashSet::new(),
            missing: None,
        })
    }

    /// The packs that what was walked needs.
    pub(super) fn used_packs(&self) -> &HashSet<usize> {
        &self.used_packs
    }

    pub(super) fn snapshot(&mut self, snapshot: &Snapshot) {
        for (path, damage) in self.tree(snapshot.tree, 0).iter() {
            let path = if path.is_empty() { "/".to_owned() } else { path.clone() };
            self.damages.affect(*damage, Affected { snapshot: snapshot.id, path });
        }
    }

    fn tree(&mut self, id: TreeId, depth: usize) -> Hurt {
        if let Some(hurt) = self.seen.get(&id) {
            return Rc::clone(hurt);
        }
        self.use_blob(BlobKind::Tree, &id.0);
        let mut hurt = Vec::new();
        match self.load(id, depth) {
            Ok(nodes) => {
                for node in &nodes {
                    self.node(id, node, depth, &mut hurt);
                }
            }
            Err(damage) => hurt.push((String::new(), damage)),
        }
        let hurt = Rc::new(hurt);
        self.seen.insert(id, Rc::clone(&hurt));
        hurt
    }

    fn load(&mut self, id: TreeId, depth: usize) -> Result<Vec<Node>, DamageNumber> {
        if depth > DEPTH_MAX {
            return Err(self.damages.add(format!("tree {id}"), "it lies too deep to be restored".to_owned()));
        }
        if let Some(damage) = self.lost.get(&(BlobKind::Tree, id.0)) {
            return Err(*damage);
        }
        let bytes = self.decoder.blob(BlobKind::Tree, &id.0).map_err(|error| self.blob_damage(&error, id))?;
        let tree = Tree::parse(&bytes).map_err(|why| self.damages.add(format!("tree {id}"), why))?;
        Ok(tree.nodes)
    }

    fn blob_damage(&mut self, error: &RepositoryError, id: TreeId) -> DamageNumber {
        match error {
            RepositoryError::BlobDamaged { blob, .. } => {
                self.damages.add(object_name("data", blob.pack), error.to_string())
            }
            RepositoryError::BlobUnreadable { blob, source } => {
                let damage = self.damages.add(object_name("data", blob.pack), error.to_string());
                if !matches!(source, ObjectError::NotFound { .. }) {
                    self.damages.storage_failed(damage);
                }
                damage
            }
            RepositoryError::BlobMissing { kind, blob } => self.missing(*kind, blob),
            _ => self.damages.add(format!("tree {id}"), error.to_string()),
        }
    }

    /// One damage for all: when an index is lost, there are thousands.
    fn missing(&mut self, kind: BlobKind, id: &Id) -> DamageNumber {
        if let Some(damage) = self.missing {
            return damage;
        }
        let why = format!("no pack is known for blobs that snapshots need, {kind} {id} for one");
        let damage = self.damages.add("index".to_owned(), why);
        self.missing = Some(damage);
        damage
    }

    fn node(&mut self, tree: TreeId, node: &Node, depth: usize, hurt: &mut Vec<(String, DamageNumber)>) {
        match (node.kind, node.subtree) {
            (NodeKind::Dir, Some(subtree)) => {
                for (path, damage) in self.tree(subtree, depth + 1).iter() {
                    hurt.push((format!("/{}{path}", node.name), *damage));
                }
            }
            (NodeKind::Dir, None) => {
                let why = format!("the directory {:?} in it has no content", node.name);
                hurt.push((format!("/{}", node.name), self.damages.add(format!("tree {tree}"), why)));
            }
            (NodeKind::File, _) => {
                for damage in self.file(tree, node) {
                    hurt.push((format!("/{}", node.name), damage));
                }
            }
            (NodeKind::Other, _) => {}
        }
    }

    /// What damages a file.
    fn file(&mut self, tree: TreeId, node: &Node) -> BTreeSet<DamageNumber> {
        let mut found = BTreeSet::new();
        let mut length = 0;
        for id in node.content() {
            let damage = match self.use_blob(BlobKind::Data, id) {
                Some(plain_length) => {
                    length += u64::from(plain_length);
                    self.lost.get(&(BlobKind::Data, *id)).copied()
                }
                None => Some(self.missing(BlobKind::Data, id)),
            };
            found.extend(damage);
        }
        if found.is_empty() && length != node.size {
            let why =
                format!("the chunks of {:?} in it have {length} bytes instead of {}", node.name, node.size);
            found.insert(self.damages.add(format!("tree {tree}"), why));
        }
        found
    }

    /// The plain length of a blob, if it is known. All its packs count as used.
    fn use_blob(&mut self, kind: BlobKind, id: &Id) -> Option<u32> {
        let mut length = None;
        for place in self.index.places(kind, id) {
            self.used_packs.insert(place.pack);
            length = length.or(Some(place.blob.plain_length()));
        }
        length
    }
}
