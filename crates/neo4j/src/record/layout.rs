//! Which stores there are, and where a record lies in its file: pages of 8192 bytes, as many whole records in each as
//! fit, the rest of the page unused.

/// Bytes of a page.
pub const PAGE_SIZE: usize = 8192;

/// A record store, one file each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordStore {
    Nodes,
    /// Label ids that do not fit into a node.
    NodeLabels,
    Relationships,
    Groups,
    Properties,
    Strings,
    Arrays,
    Keys,
    KeyNames,
    Labels,
    LabelNames,
    Types,
    TypeNames,
    Schema,
}

/// Where the records of a store lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    record_size: usize,
    per_page: u64,
}

impl RecordStore {
    pub const ALL: [Self; 14] = [
        Self::Nodes,
        Self::NodeLabels,
        Self::Relationships,
        Self::Groups,
        Self::Properties,
        Self::Strings,
        Self::Arrays,
        Self::Keys,
        Self::KeyNames,
        Self::Labels,
        Self::LabelNames,
        Self::Types,
        Self::TypeNames,
        Self::Schema,
    ];

    /// Of the file below `databases/<db>/`.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Nodes => "neostore.nodestore.db",
            Self::NodeLabels => "neostore.nodestore.db.labels",
            Self::Relationships => "neostore.relationshipstore.db",
            Self::Groups => "neostore.relationshipgroupstore.db",
            Self::Properties => "neostore.propertystore.db",
            Self::Strings => "neostore.propertystore.db.strings",
            Self::Arrays => "neostore.propertystore.db.arrays",
            Self::Keys => "neostore.propertystore.db.index",
            Self::KeyNames => "neostore.propertystore.db.index.keys",
            Self::Labels => "neostore.labeltokenstore.db",
            Self::LabelNames => "neostore.labeltokenstore.db.names",
            Self::Types => "neostore.relationshiptypestore.db",
            Self::TypeNames => "neostore.relationshiptypestore.db.names",
            Self::Schema => "neostore.schemastore.db",
        }
    }

    /// What a record of it is called.
    pub fn record_name(self) -> &'static str {
        match self {
            Self::Nodes => "node",
            Self::NodeLabels => "label record",
            Self::Relationships => "relationship",
            Self::Groups => "relationship group",
            Self::Properties => "property record",
            Self::Strings => "string record",
            Self::Arrays => "array record",
            Self::Keys => "property key",
            Self::KeyNames => "property key name record",
            Self::Labels => "label",
            Self::LabelNames => "label name record",
            Self::Types => "relationship type",
            Self::TypeNames => "relationship type name record",
            Self::Schema => "schema record",
        }
    }

    /// Bytes of a record; `None` where the file's own first record says it (dynamic records).
    pub fn record_size(self) -> Option<usize> {
        match self {
            Self::Nodes => Some(15),
            Self::Relationships => Some(34),
            Self::Groups => Some(25),
            Self::Properties => Some(41),
            Self::Keys => Some(9),
            Self::Labels | Self::Types => Some(5),
            Self::Schema => Some(8),
            Self::NodeLabels
            | Self::Strings
            | Self::Arrays
            | Self::KeyNames
            | Self::LabelNames
            | Self::TypeNames => None,
        }
    }

    /// The id of the first record that holds something: in dynamic stores record 0 is the file's header.
    pub fn first_id(self) -> u64 {
        u64::from(self.record_size().is_none())
    }
}

impl Geometry {
    /// `None` for a size that no page holds.
    pub fn new(record_size: usize) -> Option<Self> {
        let per_page = PAGE_SIZE.checked_div(record_size)?;
        (per_page > 0).then_some(Self { record_size, per_page: per_page as u64 })
    }

    pub fn record_size(&self) -> usize {
        self.record_size
    }

    pub fn per_page(&self) -> u64 {
        self.per_page
    }

    /// The page that holds a record, and where in the page it begins.
    pub fn place(&self, id: u64) -> (u64, usize) {
        let within = usize::try_from(id % self.per_page).expect("less than a page has");
        (id / self.per_page, within * self.record_size)
    }
}
