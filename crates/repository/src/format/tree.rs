//! Trees: one directory as JSON, its nodes sorted by name.
//!
//! A tree's id is the SHA-256 of these bytes, so equal directories are stored once. Names are quoted as
//! Go's `strconv.Quote` does (within the JSON string), modes are Go's: permission bits low, the kind of
//! file in the high bits.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::{Id, TreeId};

/// What is recorded of a file or directory besides its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits, as `chmod` takes them.
    pub mode: u32,
    pub modified: Timestamp,
    pub uid: u32,
    pub gid: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    File,
    Dir,
    /// Links, devices, pipes: read from what others wrote, never written.
    #[serde(other)]
    Other,
}

/// One entry of a directory. Made by [`Node::file`] and [`Node::dir`], or read from a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// A name that is not UTF-8 (never written by Grap) stays as quoted in the tree: `\xff`.
    #[serde(with = "quoted")]
    pub name: String,
    #[serde(rename = "type")]
    pub kind: NodeKind,
    /// Go's `os.FileMode`; see [`Node::permissions`].
    #[serde(default, skip_serializing_if = "is_zero_mode")]
    mode: u32,
    #[serde(rename = "mtime", default)]
    pub modified: Timestamp,
    #[serde(default)]
    atime: Timestamp,
    #[serde(default)]
    ctime: Timestamp,
    #[serde(default)]
    pub uid: u32,
    #[serde(default)]
    pub gid: u32,
    /// Bytes of a file.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size: u64,
    /// The chunks of a file, in order.
    #[serde(default, deserialize_with = "some")]
    content: Option<Vec<Id>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtree: Option<TreeId>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero_mode(mode: &u32) -> bool {
    *mode == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(size: &u64) -> bool {
    *size == 0
}

/// `Option` as it is; named, so that a missing field is `None` beside `deserialize_with`.
fn some<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Id>>, D::Error> {
    Option::deserialize(deserializer)
}

/// Go's bit for directories, and those for setuid, setgid and sticky.
const GO_DIRECTORY: u32 = 1 << 31;
const GO_SPECIAL: [(u32, u32); 3] = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];

impl Node {
    pub(crate) fn new_file(name: &str, meta: &Meta, size: u64, content: Vec<Id>) -> Self {
        Self { size, content: Some(content), ..Self::new(name, NodeKind::File, meta) }
    }

    pub fn dir(name: &str, meta: &Meta, tree: TreeId) -> Self {
        let node = Self::new(name, NodeKind::Dir, meta);
        Self { mode: node.mode | GO_DIRECTORY, subtree: Some(tree), ..node }
    }

    fn new(name: &str, kind: NodeKind, meta: &Meta) -> Self {
        let special =
            GO_SPECIAL.iter().filter(|(unix, _)| meta.mode & unix != 0).map(|(_, go)| go).sum::<u32>();
        Self {
            name: name.to_owned(),
            kind,
            mode: (meta.mode & 0o777) | special,
            modified: meta.modified,
            atime: meta.modified,
            ctime: meta.modified,
            uid: meta.uid,
            gid: meta.gid,
            size: 0,
            content: None,
            subtree: None,
        }
    }

    /// Permission bits, as `chmod` takes them.
    pub fn permissions(&self) -> u32 {
        let special =
            GO_SPECIAL.iter().filter(|(_, go)| self.mode & go != 0).map(|(unix, _)| unix).sum::<u32>();
        (self.mode & 0o777) | special
    }

    pub fn content(&self) -> &[Id] {
        self.content.as_deref().unwrap_or_default()
    }
}

/// A directory as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tree {
    pub nodes: Vec<Node>,
}

impl Tree {
    /// Sorts. Names must be single, distinct path components.
    pub(crate) fn new(mut nodes: Vec<Node>) -> Result<Self, String> {
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(node) = nodes.iter().find(|node| !is_component(&node.name)) {
            return Err(format!("{:?} cannot be the name of a file", node.name));
        }
        if let Some(pair) = nodes.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(format!("two files are named {:?}", pair[0].name));
        }
        Ok(Self { nodes })
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, String> {
        let mut bytes = serde_json::to_vec(self).map_err(|error| error.to_string())?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// A name that would lead out of its directory makes the whole tree unreadable: nobody restores it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let tree: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match tree.nodes.iter().find(|node| !is_component(&node.name)) {
            Some(node) => Err(format!("{:?} cannot be the name of a file", node.name)),
            None => Ok(tree),
        }
    }
}

fn is_component(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}

/// Names within `strconv.Quote`'s quotes.
mod quoted {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(name: &str, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&quote(name))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = unquote(&text).ok_or_else(|| D::Error::custom("a name with a broken escape"))?;
        Ok(String::from_utf8(bytes).unwrap_or(text))
    }

    fn quote(name: &str) -> String {
        let mut quoted = String::with_capacity(name.len());
        for letter in name.chars() {
            match letter {
                '"' | '\\' => quoted.extend(['\\', letter]),
                '\n' => quoted.push_str("\\n"),
                '\r' => quoted.push_str("\\r"),
                '\t' => quoted.push_str("\\t"),
                '\0'..' ' | '\x7f' => quoted.extend(['\\', 'x', digit(letter, 4), digit(letter, 0)]),
                _ => quoted.push(letter),
            }
        }
        quoted
    }

    fn digit(letter: char, shift: u32) -> char {
        char::from_digit(letter as u32 >> shift & 15, 16).unwrap_or('0')
    }

    fn unquote(text: &str) -> Option<Vec<u8>> {
        let mut name = Vec::with_capacity(text.len());
        let mut rest = text.chars();
        while let Some(letter) = rest.next() {
            if letter != '\\' {
                name.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            match rest.next()? {
                'a' => name.push(7),
                'b' => name.push(8),
                't' => name.push(9),
                'n' => name.push(10),
                'v' => name.push(11),
                'f' => name.push(12),
                'r' => name.push(13),
                'x' => name.push(u8::try_from(digits(&mut rest, 2)?).ok()?),
                'u' => push(&mut name, digits(&mut rest, 4)?)?,
                'U' => push(&mut name, digits(&mut rest, 8)?)?,
                letter @ ('"' | '\\') => push(&mut name, letter.into())?,
                _ => return None,
            }
        }
        Some(name)
    }

    fn digits(rest: &mut std::str::Chars<'_>, count: usize) -> Option<u32> {
        (0..count).try_fold(0, |value, _| Some(value << 4 | rest.next()?.to_digit(16)?))
    }

    fn push(name: &mut Vec<u8>, letter: u32) -> Option<()> {
        name.extend_from_slice(char::from_u32(letter)?.encode_utf8(&mut [0; 4]).as_bytes());
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const META: Meta = Meta { mode: 0o100_640, modified: Timestamp::UNIX_EPOCH, uid: 7, gid: 8 };

    proptest! {
        #[test]
        fn a_tree_reads_back(names: std::collections::BTreeSet<String>) {
            let names = names.into_iter().filter(|name| is_component(name));
            let nodes = names.map(|name| Node::new_file(&name, &META, 3, vec![Id::of(b"x")]));
            let tree = Tree::new(nodes.collect()).unwrap();
            prop_assert_eq!(Tree::parse(&tree.to_bytes().unwrap()).unwrap(), tree);
        }

        #[test]
        fn any_bytes_are_no_panic(bytes: Vec<u8>, name: String) {
            let _ = Tree::parse(&bytes);
            let _ = Tree::parse(format!(r#"{{"nodes":[{{"name":{name:?},"type":"file"}}]}}"#).as_bytes());
        }
    }

    #[test]
    fn modes_are_go_s() {
        let dir = Node::dir("d", &Meta { mode: 0o42_755, ..META }, TreeId(Id::of(b"")));
        assert_eq!((dir.mode, dir.permissions()), (1 << 31 | 1 << 22 | 0o755, 0o2755));
        assert_eq!(Node::new_file("f", &META, 0, Vec::new()).mode, 0o640);
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused_both_ways() {
        for name in ["", ".", "..", "a/b", "/etc/passwd", "nul\0"] {
            let node = Node::new_file(name, &META, 0, Vec::new());
            assert!(Tree::new(vec![node.clone()]).is_err(), "{name:?}");
            assert!(Tree::parse(&Tree { nodes: vec![node] }.to_bytes().unwrap()).is_err(), "{name:?}");
        }
        let twice = Node::new_file("a", &META, 0, Vec::new());
        assert!(Tree::new(vec![twice.clone(), twice]).is_err());
    }

    #[test]
    fn a_name_that_is_not_utf_8_stays_as_it_is_quoted() {
        let tree =
            Tree::parse(br#"{"nodes":[{"name":"a\\xff","type":"file","mtime":"0001-01-01T00:00:00Z"}]}"#);
        assert_eq!(tree.unwrap().nodes[0].name, "a\\xff");
    }
}
