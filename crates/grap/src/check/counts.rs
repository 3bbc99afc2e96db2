//! What is counted and summed of nodes, or of relationships.

use super::Check;
use super::digest::Encoder;
use super::error::CheckError;
use super::findings::{Findings, Problem, Record};
use super::properties::{Owner, PropertyReader};

pub(super) struct Entities {
    pub(super) count: u64,
    pub(super) properties: u64,
    /// By label or by type.
    pub(super) tokens: Vec<u64>,
    pub(super) digest: u128,
}

impl Entities {
    pub(super) fn new(tokens: usize) -> Self {
        Self { count: 0, properties: 0, tokens: vec![0; tokens], digest: 0 }
    }

    pub(super) fn token(&mut self, id: u64) {
        if let Some(count) = usize::try_from(id).ok().and_then(|id| self.tokens.get_mut(id)) {
            *count += 1;
        }
    }

    /// Reads the properties of an entity whose beginning is encoded, and adds its digest.
    pub(super) fn entity(
        &mut self,
        check: &Check<'_>,
        owner: Owner,
        (properties, encoder): (&mut PropertyReader<'_>, &mut Encoder),
        findings: &mut Findings,
    ) -> Result<(), CheckError> {
        let mut unknown = None;
        properties.read(owner, findings, |key, value| match check.tokens.keys.get(u64::from(key)) {
            Some(token) => encoder.property(token, value),
            None => unknown = Some(key),
        })?;
        let place = || Record(owner.store, owner.id);
        if let Some(key) = unknown {
            findings.add(Problem::UnknownToken, place(), || {
                format!("it has a property with key {key}, which does not exist")
            });
        }
        let encoded = encoder.finish();
        if encoded.has_twins {
            findings.add(Problem::DuplicateKey, place(), || "it has a property twice".to_owned());
        }
        self.properties += encoded.properties;
        self.digest = self.digest.wrapping_add(encoded.hash);
        Ok(())
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.properties += other.properties;
        self.digest = self.digest.wrapping_add(other.digest);
        for (count, more) in self.tokens.iter_mut().zip(&other.tokens) {
            *count += more;
        }
    }
}
