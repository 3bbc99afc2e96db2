//! Faults planted into a frozen store of 5.26.30 that has everything, one at a time.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use grap::check::{Problem, check_store};
use grap_neo4j::record::RecordStore;
use grap_task::{Collected, Stop};
use grap_testkit::records::{RecordFile, put_u32, u32_at};
use grap_testkit::store_fixture;

use crate::{check, has};

const NONE: u32 = u32::MAX;

/// Frozen stores with their digests. Those of the rich ones are what Cypher gave (`real::freeze`); the three others were made by
/// one and the same script.
const FROZEN: [(&str, &str, u64, u64); 6] = [
    ("5.13.0", "2763c742f6b6ec2d7948e1818904d3df", 200, 278),
    ("5.26.30", "2763c742f6b6ec2d7948e1818904d3df", 200, 278),
    ("2026.08.1", "2763c742f6b6ec2d7948e1818904d3df", 200, 278),
    ("rich-5.13.0", "e4b99a17a1bb57de557e1ff6535aa383", 501, 826),
    ("rich-5.26.30", "e4b99a17a1bb57de557e1ff6535aa383", 501, 826),
    ("rich-2026.08.1", "e4b99a17a1bb57de557e1ff6535aa383", 501, 826),
];

/// Records of the frozen store that faults are planted at.
struct Store {
    path: PathBuf,
    nodes: RecordFile,
    relationships: RecordFile,
    groups: RecordFile,
    properties: RecordFile,
    strings: RecordFile,
}

/// Where a fault must be found.
type Found = (Problem, RecordStore, u64);

impl Store {
    fn open(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            nodes: RecordFile::nodes(path).unwrap(),
            relationships: RecordFile::relationships(path).unwrap(),
            groups: RecordFile::groups(path).unwrap(),
            properties: RecordFile::properties(path).unwrap(),
            strings: RecordFile::strings(path).unwrap(),
        }
    }

    /// A node with relationships that is not dense.
    fn sparse_node(&self) -> u64 {
        self.nodes.find(0, |node| node[0] & 1 != 0 && node[14] & 1 == 0 && u32_at(node, 1) != NONE).unwrap()
    }

    fn dense_node(&self) -> u64 {
        self.nodes.find(0, |node| node[0] & 1 != 0 && node[14] & 1 != 0).unwrap()
    }

    fn group(&self) -> u64 {
        self.groups.find(0, |group| group[0] & 1 != 0).unwrap()
    }

    /// A relationship that is neither first nor last at its start node.
    fn middle(&self) -> u64 {
        let middle = |bytes: &[u8]| {
            let is_loop = u32_at(bytes, 1) == u32_at(bytes, 5);
            bytes[0] & 1 != 0 && bytes[33] & 1 == 0 && u32_at(bytes, 17) != NONE && !is_loop
        };
        self.relationships.find(0, middle).unwrap()
    }

    /// A property record with one behind it.
    fn property_with_next(&self) -> u64 {
        let in_use = |bytes: &[u8]| bytes[13] & 0x0F != 0 && u32_at(bytes, 5) != NONE;
        self.properties.find(0, in_use).unwrap()
    }

    /// The first record of a text of several records.
    fn long_text(&self) -> u64 {
        self.strings.find(1, |bytes| bytes[0] & 0x90 == 0x10 && u32_at(bytes, 4) != NONE).unwrap()
    }

    /// A property record whose first block points at a text, from this one on.
    fn text_property(&self, from: u64) -> u64 {
        self.properties.find(from, |bytes| first_type(bytes) == 9).unwrap()
    }
}

/// The type of the first block.
fn first_type(property: &[u8]) -> u8 {
    // Bits 24-27 of a big-endian word of eight bytes at 9.
    property[13] & 0x0F
}

/// Plants one fault in a copy of the store; it must be found, at the right place.
fn plant(fault: impl FnOnce(&Store) -> Found) {
    let folder = tempfile::tempdir().unwrap();
    store_fixture("rich-5.26.30", folder.path()).unwrap();
    let path = folder.path().join("databases/neo4j");
    let before = check(&path).unwrap();
    assert_eq!(before.findings.total(), 0, "the frozen store is clean");
    let (problem, store, id) = fault(&Store::open(&path));
    let report = check(&path).unwrap();
    let shown: Vec<String> = report.findings.kept().iter().map(ToString::to_string).collect();
    assert!(has(&report, problem, store, id), "{problem:?} of {store:?} {id} is not among {shown:#?}");
}

#[test]
fn frozen_stores_are_clean_and_have_the_digest_of_cypher() {
    for (name, digest, nodes, relationships) in FROZEN {
        let folder = tempfile::tempdir().unwrap();
        store_fixture(name, folder.path()).unwrap();
        let report = check(&folder.path().join("databases/neo4j")).unwrap();
        assert_eq!(report.findings.kept(), [], "{name}");
        assert_eq!((report.nodes, report.relationships), (nodes, relationships), "{name}");
        assert_eq!(format!("{:032x}", report.digest), digest, "{name}");
    }
}

#[test]
fn a_relationship_that_is_gone_is_missed_by_its_neighbours() {
    plant(|store| {
        let id = store.middle();
        let next = u64::from(u32_at(&store.relationships.read(id).unwrap(), 17));
        store.relationships.change(id, |bytes| bytes[0] &= !1).unwrap();
        (Problem::RelationshipChain, RecordStore::Relationships, next)
    });
}

#[test]
fn a_relationship_to_a_node_that_is_not_there() {
    plant(|store| {
        let id = store.middle();
        store.relationships.change(id, |bytes| put_u32(bytes, 5, 99_999)).unwrap();
        (Problem::Endpoint, RecordStore::Relationships, id)
    });
}

#[test]
fn a_cut_relationship_chain() {
    plant(|store| {
        let id = store.middle();
        let next = u64::from(u32_at(&store.relationships.read(id).unwrap(), 17));
        store.relationships.change(id, |bytes| put_u32(bytes, 17, NONE)).unwrap();
        (Problem::RelationshipChain, RecordStore::Relationships, next)
    });
}

#[test]
fn a_way_back_that_leads_elsewhere() {
    plant(|store| {
        let id = store.middle();
        store.relationships.change(id, |bytes| put_u32(bytes, 13, u32_at(bytes, 13) ^ 1)).unwrap();
        (Problem::RelationshipChain, RecordStore::Relationships, id)
    });
}

#[test]
fn a_first_one_that_does_not_know_it() {
    plant(|store| {
        let node = store.sparse_node();
        let first = u64::from(u32_at(&store.nodes.read(node).unwrap(), 1));
        store.relationships.change(first, |bytes| bytes[33] = 0).unwrap();
        (Problem::FirstInChain, RecordStore::Nodes, node)
    });
}

#[test]
fn a_node_whose_chain_begins_elsewhere() {
    plant(|store| {
        let node = store.sparse_node();
        let first = u64::from(u32_at(&store.nodes.read(node).unwrap(), 1));
        store.nodes.change(node, |bytes| put_u32(bytes, 1, NONE)).unwrap();
        (Problem::FirstInChain, RecordStore::Relationships, first)
    });
}

#[test]
fn a_chain_that_is_not_as_long_as_it_says() {
    plant(|store| {
        let node = store.sparse_node();
        let node_bytes = store.nodes.read(node).unwrap();
        let first = u64::from(u32_at(&node_bytes, 1));
        let at = |bytes: &[u8]| if u64::from(u32_at(bytes, 1)) == node { 13 } else { 21 };
        store.relationships.change(first, |bytes| put_u32(bytes, at(bytes), 7)).unwrap();
        (Problem::ChainLength, RecordStore::Nodes, node)
    });
}

#[test]
fn a_type_that_does_not_exist() {
    plant(|store| {
        let id = store.middle();
        store.relationships.change(id, |bytes| bytes[11] = 0x70).unwrap();
        (Problem::UnknownToken, RecordStore::Relationships, id)
    });
}

#[test]
fn groups_of_another_node_and_groups_that_are_gone() {
    plant(|store| {
        let group = store.group();
        store.groups.change(group, |bytes| put_u32(bytes, 20, 3)).unwrap();
        (Problem::Group, RecordStore::Groups, group)
    });
    plant(|store| {
        let group = u64::from(u32_at(&store.nodes.read(store.dense_node()).unwrap(), 1));
        store.groups.change(group, |bytes| bytes[0] &= !1).unwrap();
        (Problem::Group, RecordStore::Groups, group)
    });
    plant(|store| {
        let group = store.groups.find(0, |group| group[0] & 1 != 0 && u32_at(group, 8) != NONE).unwrap();
        store.groups.change(group, |bytes| put_u32(bytes, 8, u32_at(bytes, 8) ^ 1)).unwrap();
        (Problem::FirstInChain, RecordStore::Groups, group)
    });
}

#[test]
fn groups_that_are_not_in_the_order_of_their_types() {
    plant(|store| {
        let group = store.groups.find(0, |group| group[0] & 1 != 0 && u32_at(group, 4) != NONE).unwrap();
        let next = u64::from(u32_at(&store.groups.read(group).unwrap(), 4));
        store.groups.change(group, |bytes| bytes[2..4].copy_from_slice(&[0x7F, 0xFF])).unwrap();
        (Problem::Group, RecordStore::Groups, next)
    });
}

#[test]
fn a_property_that_is_there_twice() {
    plant(|store| {
        let small = |bytes: &[u8], block: usize| matches!(bytes[13 + 8 * block] & 0x0F, 1..=5 | 7);
        let twins = |id: u32| {
            store.properties.read(u64::from(id)).is_ok_and(|bytes| small(&bytes, 0) && small(&bytes, 1))
        };
        let wanted = |node: &[u8]| node[0] & 1 != 0 && u32_at(node, 5) != NONE && twins(u32_at(node, 5));
        let node = store.nodes.find(0, wanted).unwrap();
        let property = u64::from(u32_at(&store.nodes.read(node).unwrap(), 5));
        store.properties.change(property, |bytes| bytes.copy_within(14..17, 22)).unwrap();
        (Problem::DuplicateKey, RecordStore::Nodes, node)
    });
}

#[test]
fn a_label_record_of_another_node() {
    plant(|store| {
        let labels = RecordFile::open(&store.path, "nodestore.db.labels", 64).unwrap();
        let record = labels.find(1, |bytes| bytes[0] & 0x90 == 0x10).unwrap();
        // Behind a header of eight bytes and three that say how long items are stands the id of the node.
        labels.change(record, |bytes| bytes[11] ^= 1).unwrap();
        (Problem::LabelOwner, RecordStore::NodeLabels, record)
    });
}

#[test]
fn an_array_that_is_not_in_use() {
    plant(|store| {
        let arrays = RecordFile::open(&store.path, "propertystore.db.arrays", 128).unwrap();
        let record = arrays.find(1, |bytes| bytes[0] & 0x90 == 0x10).unwrap();
        arrays.change(record, |bytes| bytes[0] &= !0x10).unwrap();
        (Problem::DynamicChain, RecordStore::Arrays, record)
    });
}

#[test]
fn a_cut_property_chain_leaves_an_orphan() {
    plant(|store| {
        let id = store.property_with_next();
        let next = u64::from(u32_at(&store.properties.read(id).unwrap(), 5));
        store.properties.change(id, |bytes| put_u32(bytes, 5, NONE)).unwrap();
        (Problem::Orphan, RecordStore::Properties, next)
    });
}

#[test]
fn a_property_chain_whose_way_back_is_wrong() {
    plant(|store| {
        let id = store.property_with_next();
        let next = u64::from(u32_at(&store.properties.read(id).unwrap(), 5));
        store.properties.change(next, |bytes| put_u32(bytes, 1, NONE)).unwrap();
        (Problem::PropertyChain, RecordStore::Properties, next)
    });
}

#[test]
fn properties_with_two_owners() {
    plant(|store| {
        let one = store.sparse_node();
        let other = store.nodes.find(one + 1, |node| node[0] & 1 != 0 && u32_at(node, 5) != NONE).unwrap();
        let property = u32_at(&store.nodes.read(one).unwrap(), 5);
        store.nodes.change(other, |bytes| put_u32(bytes, 5, property)).unwrap();
        (Problem::SharedRecord, RecordStore::Properties, u64::from(property))
    });
}

#[test]
fn keys_and_values_that_cannot_be() {
    plant(|store| {
        let node = store.sparse_node();
        let property = u64::from(u32_at(&store.nodes.read(node).unwrap(), 5));
        store.properties.change(property, |bytes| bytes[14] = 0x40).unwrap();
        (Problem::UnknownToken, RecordStore::Nodes, node)
    });
    plant(|store| {
        let property = store.property_with_next();
        store.properties.change(property, |bytes| bytes[13] |= 0x0F).unwrap();
        (Problem::Value, RecordStore::Properties, property)
    });
}

#[test]
fn labels_out_of_order_and_labels_that_do_not_exist() {
    for (ids, problem) in
        [([1, 0], Problem::LabelOrder), ([0, 0], Problem::LabelOrder), ([0, 99], Problem::UnknownToken)]
    {
        plant(|store| {
            let node = store.sparse_node();
            let field = 2_u64 << 36 | ids[1] << 18 | ids[0];
            let low = u32::try_from(field & 0xFFFF_FFFF).unwrap();
            let high = u8::try_from(field >> 32).unwrap();
            store
                .nodes
                .change(node, |bytes| {
                    put_u32(bytes, 9, low);
                    bytes[13] = high;
                })
                .unwrap();
            (problem, RecordStore::Nodes, node)
        });
    }
}

#[test]
fn texts_that_are_cut_shared_or_not_in_use() {
    plant(|store| {
        let first = store.long_text();
        let next = u64::from(u32_at(&store.strings.read(first).unwrap(), 4));
        store.strings.change(first, |bytes| put_u32(bytes, 4, NONE)).unwrap();
        (Problem::Orphan, RecordStore::Strings, next)
    });
    for (byte, bit) in [(0, 0x80), (0, 0x10), (1, 0x80)] {
        plant(|store| {
            let first = store.long_text();
            store.strings.change(first, |bytes| bytes[byte] ^= bit).unwrap();
            (Problem::DynamicChain, RecordStore::Strings, first)
        });
    }
    plant(|store| {
        let first = store.long_text();
        store.strings.change(first, |bytes| bytes[3] -= 1).unwrap();
        (Problem::DynamicChain, RecordStore::Strings, first)
    });
    plant(|store| {
        let first = store.long_text();
        store.strings.change(first, |bytes| put_u32(bytes, 4, u32::try_from(first).unwrap())).unwrap();
        (Problem::SharedRecord, RecordStore::Strings, first)
    });
    plant(|store| {
        let (one, other) = (store.text_property(0), store.text_property(store.text_property(0) + 1));
        let from: [u8; 8] = store.properties.read(one).unwrap()[9..17].try_into().unwrap();
        // The number of the text's first record is in bits 28-63.
        let text = u64::from_be_bytes(from) >> 28;
        store.properties.change(other, |bytes| bytes[9..17].copy_from_slice(&from)).unwrap();
        (Problem::SharedRecord, RecordStore::Strings, text)
    });
}

#[test]
fn a_label_without_a_name() {
    plant(|store| {
        let names = RecordFile::open(&store.path, "labeltokenstore.db.names", 38).unwrap();
        let name = names.find(1, |bytes| bytes[0] & 0x10 != 0).unwrap();
        names.change(name, |bytes| bytes[0] = 0).unwrap();
        (Problem::DynamicChain, RecordStore::LabelNames, name)
    });
    plant(|store| {
        let labels = RecordFile::open(&store.path, "labeltokenstore.db", 5).unwrap();
        let (one, other) = (labels.read(0).unwrap(), 1);
        labels.change(other, |bytes| bytes.copy_from_slice(&one)).unwrap();
        (Problem::Token, RecordStore::Labels, other)
    });
}

#[test]
fn a_rule_without_its_properties() {
    plant(|store| {
        let rules = RecordFile::open(&store.path, "schemastore.db", 8).unwrap();
        let rule = rules.find(0, |bytes| bytes[0] & 1 != 0).unwrap();
        rules.change(rule, |bytes| bytes[0] &= !2).unwrap();
        (Problem::Schema, RecordStore::Schema, rule)
    });
}

#[test]
fn a_file_that_ends_within_a_page() {
    plant(|store| {
        let path = store.path.join("neostore.nodestore.db");
        let size = fs::metadata(&path).unwrap().len();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(size - 1).unwrap();
        (Problem::FileLength, RecordStore::Nodes, 0)
    });
}

/// Whatever one bit of a store is: an answer, never a panic.
#[test]
fn flipped_bits_do_no_harm_to_the_checker() {
    let folder = tempfile::tempdir().unwrap();
    store_fixture("rich-5.26.30", folder.path()).unwrap();
    let path = folder.path().join("databases/neo4j");
    let clean = check(&path).unwrap().digest;
    let stores = ["nodestore.db", "relationshipstore.db", "propertystore.db", "relationshipgroupstore.db"];
    let mut seen = 0;
    for (round, name) in (0..150_u64).zip(stores.iter().cycle()) {
        let file = path.join(format!("neostore.{name}"));
        let whole = fs::read(&file).unwrap();
        let used = whole.iter().rposition(|byte| *byte != 0).unwrap() as u64;
        let at = round.wrapping_mul(0x9E37_79B9_7F4A_7C15) % used;
        let mut flipped = whole.clone();
        flipped[usize::try_from(at).unwrap()] ^= 1 << (round % 8);
        fs::write(&file, &flipped).unwrap();
        let report = check(&path).unwrap();
        seen += u32::from(report.digest != clean || report.findings.total() > 0);
        fs::write(&file, &whole).unwrap();
    }
    assert!(seen > 100, "only {seen} of 150 flipped bits were seen");
    assert_eq!(check(&path).unwrap().digest, clean);
}

/// Who watches it reads a line a step.
#[test]
fn each_step_is_told_once() {
    let (folder, heard) = (tempfile::tempdir().unwrap(), Collected::default());
    store_fixture("rich-5.26.30", folder.path()).unwrap();
    check_store(&folder.path().join("databases/neo4j"), 2, &Stop::new(), &heard).unwrap();
    assert_eq!(heard.steps(), ["nodes", "relationships", "schema", "orphans"]);
}
