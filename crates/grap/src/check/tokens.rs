//! Names of labels, relationship types and property keys.

use std::collections::BTreeMap;

use grap_neo4j::record::{RecordStore, TokenRecord};

use super::bits::Bits;
use super::chain;
use super::error::CheckError;
use super::findings::{Findings, Problem, Record};
use super::pages::Pages;
use super::stores::Stores;

/// There is no token with a higher id: what a property block, a label field and a relationship can name.
const TOKENS_MAX: u64 = 1 << 24;

pub(super) struct Tokens {
    pub(super) labels: Names,
    pub(super) types: Names,
    pub(super) keys: Names,
}

/// The tokens of one kind, by id.
pub(super) struct Names {
    tokens: Vec<Option<Token>>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Token {
    pub(super) name: String,
    /// Its place among all, in order of their names.
    pub(super) rank: u32,
}

impl Tokens {
    pub(super) fn read(stores: &Stores, findings: &mut Findings) -> Result<Self, CheckError> {
        use RecordStore::{KeyNames, Keys, LabelNames, Labels, TypeNames, Types};
        Ok(Self {
            labels: Names::read(stores, Labels, LabelNames, findings)?,
            types: Names::read(stores, Types, TypeNames, findings)?,
            keys: Names::read(stores, Keys, KeyNames, findings)?,
        })
    }
}

impl Names {
    fn read(
        stores: &Stores,
        store: RecordStore,
        names: RecordStore,
        findings: &mut Findings,
    ) -> Result<Self, CheckError> {
        let (file, names) = (stores.get(store), stores.get(names));
        let (mut records, mut pieces) = (Pages::new(file), Pages::new(names));
        let owned = Bits::new(names.records());
        let mut tokens = Vec::new();
        let mut text = Vec::new();
        for id in 0..file.records().min(TOKENS_MAX) {
            let record = records.record(id)?.and_then(TokenRecord::parse).filter(|record| record.in_use);
            let Some(record) = record else {
                tokens.push(None);
                continue;
            };
            let owner = || Record(store, id);
            let whole = chain::read(&mut pieces, &owned, record.name, owner, &mut text, findings)?;
            let name = str::from_utf8(&text).ok().filter(|_| whole);
            if name.is_none() {
                findings.add(Problem::Token, owner(), || "its name cannot be read".to_owned());
            }
            // It is in use all the same; nobody is told a name that was not read.
            let name = name.map_or_else(|| format!("<unreadable {id}>"), str::to_owned);
            tokens.push(Some(Token { name, rank: 0 }));
        }
        while tokens.last().is_some_and(Option::is_none) {
            tokens.pop();
        }
        let mut all = Self { tokens };
        all.rank(store, findings);
        Ok(all)
    }

    /// Ranks by name, then by id; a name that is there twice is a finding.
    fn rank(&mut self, store: RecordStore, findings: &mut Findings) {
        let mut order: Vec<usize> = (0..self.tokens.len()).filter(|id| self.tokens[*id].is_some()).collect();
        order.sort_by(|one, other| self.name_at(*one).cmp(self.name_at(*other)));
        for pair in order.windows(2) {
            if self.name_at(pair[0]) == self.name_at(pair[1]) {
                findings.add(Problem::Token, Record(store, pair[1] as u64), || {
                    format!(
                        "{} has the same name, `{}`",
                        Record(store, pair[0] as u64),
                        self.name_at(pair[0])
                    )
                });
            }
        }
        for (rank, id) in (0..).zip(order) {
            if let Some(token) = &mut self.tokens[id] {
                token.rank = rank;
            }
        }
    }

    fn name_at(&self, id: usize) -> &str {
        self.tokens[id].as_ref().map_or("", |token| &token.name)
    }

    pub(super) fn get(&self, id: u64) -> Option<&Token> {
        self.tokens.get(usize::try_from(id).ok()?)?.as_ref()
    }

    /// Ids end here.
    pub(super) fn end(&self) -> usize {
        self.tokens.len()
    }

    /// What was counted by id, by name; tokens that nothing has are left out.
    pub(super) fn by_name(&self, counts: &[u64]) -> BTreeMap<String, u64> {
        let named = self.tokens.iter().zip(counts).filter(|(_, count)| **count > 0);
        named.filter_map(|(token, count)| Some((token.as_ref()?.name.clone(), *count))).collect()
    }
}
