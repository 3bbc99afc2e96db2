//! How long a command is: the layouts of all command bodies, as far as their lengths hang on them.
//!
//! Layouts: `docs/format/transaction-log.md`, section 8. They are the same on every kernel from 5 to 32.
//!
//! Of the flags of an image only those are looked at that decide which fields follow. Releases have added
//! bits without a new kernel version (two in relationships, between 5.13 and 5.26), and a bit that changed
//! the layout could not stay hidden: a walk has to meet an entry behind every command and the COMMIT behind
//! the last.
//!
//! Each byte is passed once. Loops run over counts that stand in the bytes, but every turn takes at least
//! one byte, so they end with the bytes; nothing nests.

use super::fields::Fields;
use super::walk::CommandKind;

const IN_USE: u8 = 1;
const HAS_SECONDARY_UNIT: u8 = 8;
/// A property record has room for four blocks of eight bytes.
const BLOCKS_MAX: u8 = 4;
const BLOCK_BYTES_MAX: u8 = 32;

/// Passes over the body of a command; `None` where the bytes are not one.
pub(super) fn skip_body(kind: CommandKind, fields: &mut Fields<'_>) -> Option<()> {
    use CommandKind as Kind;
    match kind {
        Kind::Node => with_images(fields, 2, node),
        Kind::NodeCreated | Kind::NodeDeleted => with_images(fields, 1, node),
        Kind::Relationship => with_images(fields, 2, relationship),
        Kind::RelationshipCreated | Kind::RelationshipDeleted => with_images(fields, 1, relationship),
        Kind::Property => with_images(fields, 2, property),
        Kind::PropertyCreated | Kind::PropertyDeleted => with_images(fields, 1, property),
        Kind::Group => with_images(fields, 2, group),
        Kind::RelationshipType | Kind::Label => tokens(fields, 4),
        Kind::PropertyKey => tokens(fields, 8),
        Kind::Schema => schema(fields),
        Kind::Metadata => fields.skip(8 + 2 * (1 + 8)),
        Kind::NodeCount => fields.skip(4 + 8),
        Kind::RelationshipCount => fields.skip(4 + 4 + 4 + 8),
        Kind::GroupDegree => fields.skip(8 + 8),
    }
}

type Image = fn(&mut Fields<'_>) -> Option<()>;

/// An id, then so many images of a record: before and after, or one of them.
fn with_images(fields: &mut Fields<'_>, count: usize, image: Image) -> Option<()> {
    fields.skip(8)?;
    (0..count).try_for_each(|_| image(fields))
}

fn node(fields: &mut Fields<'_>) -> Option<()> {
    let flags = fields.u8()?;
    if flags & IN_USE != 0 {
        fields.skip(1 + 3 * 8)?;
    }
    secondary_unit(fields, flags)?;
    dynamic_records(fields)
}

fn relationship(fields: &mut Fields<'_>) -> Option<()> {
    let flags = fields.u8()?;
    if flags & IN_USE != 0 {
        fields.skip(2 * 8 + 4 + 5 * 8 + 1)?;
    } else {
        fields.skip(4)?;
    }
    secondary_unit(fields, flags)
}

fn group(fields: &mut Fields<'_>) -> Option<()> {
    let flags = fields.u8()?;
    fields.skip(4 + 5 * 8 + 1)?;
    secondary_unit(fields, flags)
}

fn secondary_unit(fields: &mut Fields<'_>, flags: u8) -> Option<()> {
    if flags & HAS_SECONDARY_UNIT != 0 { fields.skip(8) } else { Some(()) }
}

fn property(fields: &mut Fields<'_>) -> Option<()> {
    fields.skip(1 + 3 * 8)?;
    let blocks = fields.u8().filter(|&count| count <= BLOCKS_MAX)?;
    (0..blocks).try_for_each(|_| property_block(fields))?;
    dynamic_records(fields)
}

fn property_block(fields: &mut Fields<'_>) -> Option<()> {
    let possible = |length: &u8| (8..=BLOCK_BYTES_MAX).contains(length) && length.is_multiple_of(8);
    let length = fields.u8().filter(possible)?;
    fields.skip(usize::from(length))?;
    dynamic_records(fields)
}

/// A token's id and its two images, `fixed` bytes behind the flags of each.
fn tokens(fields: &mut Fields<'_>, fixed: usize) -> Option<()> {
    fields.skip(4)?;
    for _ in 0..2 {
        fields.skip(1 + fixed)?;
        dynamic_records(fields)?;
    }
    Some(())
}

fn dynamic_records(fields: &mut Fields<'_>) -> Option<()> {
    let count = fields.count()?;
    (0..count).try_for_each(|_| dynamic_record(fields))
}

fn dynamic_record(fields: &mut Fields<'_>) -> Option<()> {
    fields.skip(8 + 4)?;
    if fields.u8()? & IN_USE != 0 {
        let length = fields.count()?;
        fields.skip(8)?;
        fields.skip(length)?;
    }
    Some(())
}

fn schema(fields: &mut Fields<'_>) -> Option<()> {
    let record = SchemaRecord::read(fields)?;
    if record.has_rule { schema_map(fields, |_, _| ()) } else { Some(()) }
}

/// What stands before the map of a schema command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SchemaRecord {
    pub(super) id: i64,
    pub(super) has_rule: bool,
    pub(super) before: SchemaImage,
    pub(super) after: SchemaImage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SchemaImage {
    Unused,
    InUse { constraint: bool },
}

impl SchemaRecord {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<SchemaRecord> {
        let id = fields.i64()?;
        let has_rule = match fields.u8()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        Some(SchemaRecord { id, has_rule, before: schema_image(fields)?, after: schema_image(fields)? })
    }
}

fn schema_image(fields: &mut Fields<'_>) -> Option<SchemaImage> {
    if fields.u8()? & IN_USE == 0 {
        return Some(SchemaImage::Unused);
    }
    let constraint = fields.u8()? & 1 != 0;
    fields.skip(8)?;
    Some(SchemaImage::InUse { constraint })
}

/// A value of a rule's map; what no decision hangs on stays unread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum MapValue<'a> {
    Text(&'a [u8]),
    Long(i64),
    Other,
}

/// Passes over a rule's map; `see` gets each key with its value.
pub(super) fn schema_map<'a>(
    fields: &mut Fields<'a>,
    mut see: impl FnMut(&'a [u8], MapValue<'a>),
) -> Option<()> {
    for _ in 0..fields.count()? {
        let key = fields.counted_bytes()?;
        let value = map_value(fields)?;
        see(key, value);
    }
    Some(())
}

fn map_value<'a>(fields: &mut Fields<'a>) -> Option<MapValue<'a>> {
    match fields.u8()? {
        0 | 1 => Some(MapValue::Other),
        6 => fields.i64().map(MapValue::Long),
        9 => fields.counted_bytes().map(MapValue::Text),
        11 => array(fields).map(|()| MapValue::Other),
        tag => fields.skip(element_length(tag)?).map(|()| MapValue::Other),
    }
}

/// An array cannot hold arrays, so this is the deepest level.
fn array(fields: &mut Fields<'_>) -> Option<()> {
    let count = fields.count()?;
    match fields.u8()? {
        9 => (0..count).try_for_each(|_| fields.counted_bytes().map(drop)),
        tag => fields.skip(count.checked_mul(element_length(tag)?)?),
    }
}

/// Of the types that have a fixed one.
fn element_length(tag: u8) -> Option<usize> {
    match tag {
        2 | 3 => Some(1),
        4 => Some(2),
        5 | 7 | 10 => Some(4),
        6 | 8 => Some(8),
        _ => None,
    }
}
