//! What a transaction says about the schema: which indexes and constraints it creates, changes, deletes.
//!
//! Read from schema commands alone (code 18; `docs/format/transaction-log.md`, sections 8 and 9). A command
//! carries the record before and after, which tells created from updated from deleted, and the rule itself
//! as a map: the new rule, and where it is deleted the old one.
//!
//! Only what a decision hangs on is taken from the map: what the rule is, its name, and how an index and a
//! constraint belong together. A rule that is neither, or that lacks what it must have, is an error: to take
//! it for unimportant would be a guess.

use std::fmt;
use std::str;

use serde::{Deserialize, Serialize};

use super::body::{MapValue, SchemaImage, SchemaRecord, schema_map};
use super::fields::Fields;
use super::walk::{BODY_AT, Command, CommandKind, WalkError};

const KEY_PREFIX: &[u8] = b"__org.neo4j.SchemaRule.";

/// Id of an index or a constraint; both are numbered together. Used again after a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleId(pub i64);

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A schema command, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaChange<'a> {
    pub id: RuleId,
    pub change: Change,
    /// As it is from now on; deleted, as it was.
    pub rule: Rule<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Created,
    Updated,
    Deleted,
}

/// An index or a constraint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule<'a> {
    pub name: &'a str,
    pub kind: RuleKind<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind<'a> {
    Index {
        /// Only constraints have unique indexes.
        unique: bool,
        /// The constraint that it belongs to. It is not there yet when the index is created.
        owner: Option<RuleId>,
    },
    Constraint {
        /// `UNIQUE`; in Enterprise Edition also `UNIQUE_EXISTS` (a key), `EXISTS` and others.
        constraint_type: &'a str,
        /// The index that enforces it; the types that need none have none.
        owned_index: Option<RuleId>,
    },
}

impl<'a> SchemaChange<'a> {
    /// What a command does to the schema; `None`, if it is not about the schema.
    ///
    /// # Errors
    /// [`WalkError::Schema`], if the rule is not one that is known.
    pub fn of(command: &Command<'a>) -> Result<Option<SchemaChange<'a>>, WalkError> {
        if command.kind != CommandKind::Schema {
            return Ok(None);
        }
        read(command.bytes).map(Some).map_err(|what| WalkError::Schema { offset: command.offset, what })
    }
}

fn read(command: &[u8]) -> Result<SchemaChange<'_>, &'static str> {
    let mut fields = Fields::new(command, BODY_AT);
    let record = SchemaRecord::read(&mut fields).ok_or("is cut")?;
    if !record.has_rule {
        return Err("does not say which rule it is about");
    }
    let mut properties = Properties::default();
    schema_map(&mut fields, |key, value| properties.take(key, value)).ok_or("is cut")?;
    let change = change(&record)?;
    let rule = properties.rule()?;
    if change == Change::Created && record.after != image_of(&rule) {
        return Err("contradicts itself (index or constraint)");
    }
    Ok(SchemaChange { id: RuleId(record.id), change, rule })
}

fn change(record: &SchemaRecord) -> Result<Change, &'static str> {
    use SchemaImage::{InUse, Unused};
    match (record.before, record.after) {
        (Unused, InUse { .. }) => Ok(Change::Created),
        (InUse { .. }, InUse { .. }) => Ok(Change::Updated),
        (InUse { .. }, Unused) => Ok(Change::Deleted),
        (Unused, Unused) => Err("is about a rule that was neither before nor after"),
    }
}

/// The record of a rule when it is created. (Later images do not keep the mark of a constraint.)
fn image_of(rule: &Rule<'_>) -> SchemaImage {
    SchemaImage::InUse { constraint: matches!(rule.kind, RuleKind::Constraint { .. }) }
}

/// The properties of a rule that are of interest here.
#[derive(Default)]
struct Properties<'a> {
    name: Option<&'a [u8]>,
    schema_rule_type: Option<&'a [u8]>,
    index_rule_type: Option<&'a [u8]>,
    constraint_rule_type: Option<&'a [u8]>,
    owning_constraint: Option<i64>,
    owned_index: Option<i64>,
}

impl<'a> Properties<'a> {
    fn take(&mut self, key: &[u8], value: MapValue<'a>) {
        match (key.strip_prefix(KEY_PREFIX), value) {
            (Some(b"name"), MapValue::Text(text)) => self.name = Some(text),
            (Some(b"schemaRuleType"), MapValue::Text(text)) => self.schema_rule_type = Some(text),
            (Some(b"indexRuleType"), MapValue::Text(text)) => self.index_rule_type = Some(text),
            (Some(b"constraintRuleType"), MapValue::Text(text)) => self.constraint_rule_type = Some(text),
            (Some(b"owningConstraint"), MapValue::Long(id)) => self.owning_constraint = Some(id),
            (Some(b"ownedIndex"), MapValue::Long(id)) => self.owned_index = Some(id),
            _ => {}
        }
    }

    fn rule(&self) -> Result<Rule<'a>, &'static str> {
        let kind = match self.schema_rule_type {
            Some(b"INDEX") => self.index()?,
            Some(b"CONSTRAINT") => self.constraint()?,
            _ => return Err("is about neither an index nor a constraint"),
        };
        Ok(Rule { name: text(self.name)?, kind })
    }

    fn index(&self) -> Result<RuleKind<'a>, &'static str> {
        let unique = match self.index_rule_type {
            Some(b"UNIQUE") => true,
            Some(b"NON_UNIQUE") => false,
            _ => return Err("is about an index of unknown type"),
        };
        Ok(RuleKind::Index { unique, owner: self.owning_constraint.map(RuleId) })
    }

    fn constraint(&self) -> Result<RuleKind<'a>, &'static str> {
        let constraint_type = text(self.constraint_rule_type)?;
        let owned_index = self.owned_index.map(RuleId);
        if constraint_type.starts_with("UNIQUE") && owned_index.is_none() {
            return Err("is about a constraint without the index it needs");
        }
        Ok(RuleKind::Constraint { constraint_type, owned_index })
    }
}

fn text(bytes: Option<&[u8]>) -> Result<&str, &'static str> {
    let bytes = bytes.ok_or("lacks a name or a type")?;
    str::from_utf8(bytes).map_err(|_| "has a name or a type that is not UTF-8")
}
