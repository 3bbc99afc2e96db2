//! The schema of a candidate: everything in it is ONLINE, it is what its stores hold, and what the operator declared.
//!
//! Three views are compared: what the server shows; the records of the schema, read from the candidate's own stores; the
//! declared schema, where there is one. The second one the server wrote when it recovered the database, from the backup
//! and the log, and nothing has changed it since: an index that the server lost, or a constraint whose record is gone
//! while its index is there, differ. What was dropped at the source before the backup, only a declaration can miss.

use std::time::Duration;

use grap_core::schema::{DriftKind, LiveObject, SchemaFile, compare, faults};

use super::seen::{Blind, Seen};
use super::{Expectation, Session};
use crate::check::{Rule, read_rules};
use crate::server::TestInstance;

pub(super) fn schema(
    instance: &TestInstance,
    expectation: &Expectation,
    limit: Duration,
    session: &Session<'_>,
) -> Result<Seen, Blind> {
    // Those that are being made were waited for when it was started: what is not ONLINE now does not get so in time.
    let live = instance.asker(limit)?.schema()?;
    let (rules, findings) = read_rules(&instance.store(), session.stop, session.monitor)?;
    let mut wrong: Vec<String> = faults(&live).iter().map(ToString::to_string).collect();
    let (drifted, remarks) = against_declared(expectation.declared.as_ref(), &live);
    wrong.extend(drifted);
    wrong.extend(against_stores(&rules, &live));
    wrong.extend(findings.kept().iter().map(ToString::to_string));
    let declared = match &expectation.declared {
        Some(file) => format!("{} are declared", file.declarations.len()),
        None => "none is declared".to_owned(),
    };
    let message = format!("{} indexes and constraints; {declared}", live.len());
    Ok(Seen { message, wrong, remarks, ..Seen::default() })
}

/// What is wrong, and what is worth knowing. Options are the source's own, and a backup loses none of them: where only they
/// differ, the declaration is behind, and the health of the source says so. Whether they are ONLINE was seen already.
fn against_declared(declared: Option<&SchemaFile>, live: &[LiveObject]) -> (Vec<String>, Vec<String>) {
    let declared = declared.map(|file| file.declarations.as_slice()).unwrap_or_default();
    let (mut wrong, mut remarks) = (Vec::new(), Vec::new());
    for drift in compare(declared, live) {
        match drift.kind {
            DriftKind::Missing | DriftKind::Different { .. } | DriftKind::NamedOtherwise { .. } => {
                wrong.push(drift.to_string());
            }
            DriftKind::OtherOptions { .. } => remarks.push(drift.to_string()),
            DriftKind::NotOnline { .. } | DriftKind::Undeclared => {}
        }
    }
    (wrong, remarks)
}

/// The server shows what the stores hold, and nothing else. An index of a constraint goes with its constraint.
fn against_stores(rules: &[Rule], live: &[LiveObject]) -> Vec<String> {
    let mut wrong = not_shown(rules, live);
    let unknown = live.iter().filter(|object| !rules.iter().any(|rule| is_of(object, rule)));
    wrong.extend(
        unknown.map(|object| format!("`{}`, {} is in no record of the store", object.name, object.shape)),
    );
    wrong
}

/// The server shows what the stores hold.
pub(crate) fn not_shown(rules: &[Rule], live: &[LiveObject]) -> Vec<String> {
    let mut wrong = Vec::new();
    let of_id = |id: u64| rules.iter().find(|rule| rule.id == id);
    for rule in rules {
        let what = format!("`{}`, {} (schema record {})", rule.name, rule.shape, rule.id);
        if let Some(owner) = rule.owner {
            if of_id(owner).is_none() {
                wrong.push(format!(
                    "{what} belongs to a constraint that is not there (schema record {owner})"
                ));
            }
            continue;
        }
        if let Some(owned) = rule.owned.filter(|owned| of_id(*owned).is_none()) {
            wrong.push(format!("{what} has an index that is not there (schema record {owned})"));
        }
        if !live.iter().any(|object| is_of(object, rule)) {
            wrong.push(format!("{what} is in the store, and the server does not show it"));
        }
    }
    wrong
}

fn is_of(object: &LiveObject, rule: &Rule) -> bool {
    object.name == rule.name && object.shape == rule.shape
}

#[cfg(test)]
mod tests {
    use grap_core::schema::{Entity, IndexConfig, LiveState, SchemaKind, Shape};

    use super::*;

    fn rule(id: u64, name: &str, kind: SchemaKind) -> Rule {
        let shape = Shape {
            kind,
            entity: Entity::Node,
            tokens: vec!["A".to_owned()],
            properties: vec!["x".to_owned()],
        };
        let is_constraint = kind == SchemaKind::Unique;
        Rule { id, name: name.to_owned(), shape, is_constraint, owner: None, owned: None }
    }

    fn shown(rule: &Rule) -> LiveObject {
        LiveObject {
            name: rule.name.clone(),
            shape: rule.shape.clone(),
            state: LiveState::Online,
            config: IndexConfig::new(),
        }
    }

    #[test]
    fn other_options_than_declared_do_not_speak_against_the_backup() {
        let with = |dimensions: u32| {
            let text = format!(
                "CREATE INDEX i FOR (n:A) ON (n.x); CREATE VECTOR INDEX v FOR (n:A) ON (n.x) \
                 OPTIONS {{indexConfig: {{`vector.dimensions`: {dimensions}}}}};"
            );
            SchemaFile::parse(&text).unwrap()
        };
        let (declared, other) = (with(3), with(4));
        let made = |wanted: usize, config: IndexConfig| LiveObject {
            name: declared.declarations[wanted].name.clone().unwrap(),
            shape: declared.declarations[wanted].shape.clone(),
            state: LiveState::Online,
            config,
        };
        let alike = made(1, declared.declarations[1].config.clone());
        let told = |live: &[LiveObject]| {
            let (wrong, remarks) = against_declared(Some(&declared), live);
            (wrong.len(), remarks.len())
        };
        let index = made(0, IndexConfig::new());
        assert_eq!(told(&[index.clone(), alike.clone()]), (0, 0));
        assert_eq!(told(&[index, made(1, other.declarations[1].config.clone())]), (0, 1));
        assert_eq!(told(&[alike]), (1, 0));
    }

    #[test]
    fn what_the_server_shows_and_what_the_store_holds_is_the_same() {
        let index = rule(1, "i", SchemaKind::Range);
        let constraint = Rule { owned: Some(3), ..rule(2, "c", SchemaKind::Unique) };
        let owned = Rule { owner: Some(2), ..rule(3, "c", SchemaKind::Range) };
        let live = [shown(&index), shown(&constraint)];
        let all = [index, constraint, owned];
        assert!(against_stores(&all, &live).is_empty());
        let names = |rules: &[Rule], live: &[LiveObject]| against_stores(rules, live);
        let lost = names(&all, &live[1..]);
        assert_eq!(lost.len(), 1);
        assert!(lost[0].contains("`i`") && lost[0].contains("does not show"), "{lost:?}");
        // The constraint's record is gone: its index stays behind, and the server shows a constraint no more.
        let dropped = names(&[all[0].clone(), all[2].clone()], &[live[0].clone(), shown(&all[2])]);
        assert!(dropped[0].contains("`c`") && dropped[0].contains("schema record 2"), "{dropped:?}");
        // And the other way round.
        let without = names(&all[..2], &live);
        assert!(without[0].contains("`c`") && without[0].contains("schema record 3"), "{without:?}");
    }
}
