//! How what there is differs from what is declared.

use std::fmt;

use super::config::differences;
use super::file::Declaration;
use super::{LiveObject, LiveState, SchemaKind, Shape};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    pub kind: DriftKind,
    /// In words: the declaration with its line, or the object of the server.
    pub what: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriftKind {
    /// Declared, and not there.
    Missing,
    /// There under this name, with another shape.
    Different { live: Shape },
    /// There, under this other name.
    NamedOtherwise { live: String },
    /// There, and made with other options. In words.
    OtherOptions { live: String },
    /// There, and of no use yet, or ever.
    NotOnline { state: LiveState },
    /// There, and not declared. It hurts nothing.
    Undeclared,
}

impl DriftKind {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Different { .. } => "different",
            Self::NamedOtherwise { .. } => "named_otherwise",
            Self::OtherOptions { .. } => "other_options",
            Self::NotOnline { .. } => "not_online",
            Self::Undeclared => "undeclared",
        }
    }

    /// Whether the schema is not as it is declared.
    pub fn is_fault(&self) -> bool {
        !matches!(self, Self::Undeclared)
    }

    /// Whether it will pass by itself: an index is being made.
    pub fn is_populating(&self) -> bool {
        matches!(self, Self::NotOnline { state: LiveState::Populating(_) })
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = &self.what;
        match &self.kind {
            DriftKind::Missing => write!(f, "missing: {what}"),
            DriftKind::Different { live } => write!(f, "different: {what} is a {live}"),
            DriftKind::NamedOtherwise { live } => write!(f, "named otherwise: {what} is called `{live}`"),
            DriftKind::OtherOptions { live } => write!(f, "other options: {what}: {live}"),
            DriftKind::NotOnline { state } => write!(f, "not online: {what} is {state}"),
            DriftKind::Undeclared => write!(f, "not declared: {what}"),
        }
    }
}

/// Declared against live. The lookup indexes that every new database has are not asked to be declared, nor are the
/// indexes that constraints own: `live` does not hold those.
pub fn compare(declared: &[Declaration], live: &[LiveObject]) -> Vec<Drift> {
    let mut drifts: Vec<Drift> = declared.iter().filter_map(|wanted| differs(wanted, live)).collect();
    let is_declared = |object: &LiveObject| declared.iter().any(|wanted| is_of(wanted, object));
    let undeclared =
        live.iter().filter(|object| object.shape.kind != SchemaKind::Lookup && !is_declared(object));
    drifts.extend(undeclared.map(|object| Drift { kind: DriftKind::Undeclared, what: title(object) }));
    drifts
}

/// What is declared, and for which there is nothing, neither by its shape nor by its name.
pub fn missing<'d>(declared: &'d [Declaration], live: &[LiveObject]) -> Vec<&'d Declaration> {
    let is_missing =
        |wanted: &&Declaration| matches!(differs(wanted, live), Some(Drift { kind: DriftKind::Missing, .. }));
    declared.iter().filter(is_missing).collect()
}

fn differs(wanted: &Declaration, live: &[LiveObject]) -> Option<Drift> {
    let what = format!("{} (line {})", wanted.title(), wanted.line);
    let kind = match live.iter().find(|object| object.shape == wanted.shape) {
        Some(object) if wanted.name.as_ref().is_some_and(|name| *name != object.name) => {
            DriftKind::NamedOtherwise { live: object.name.clone() }
        }
        Some(object) if object.state == LiveState::Online => {
            let found = differences(&wanted.config, &object.config);
            if found.is_empty() {
                return None;
            }
            DriftKind::OtherOptions { live: found.join("; ") }
        }
        Some(object) => DriftKind::NotOnline { state: object.state.clone() },
        None => match live.iter().find(|object| wanted.name.as_ref() == Some(&object.name)) {
            Some(object) => DriftKind::Different { live: object.shape.clone() },
            None => DriftKind::Missing,
        },
    };
    Some(Drift { kind, what })
}

fn is_of(wanted: &Declaration, object: &LiveObject) -> bool {
    wanted.shape == object.shape || wanted.name.as_ref() == Some(&object.name)
}

/// Without a declaration: what is wrong with what there is.
pub fn faults(live: &[LiveObject]) -> Vec<Drift> {
    let broken = live.iter().filter(|object| object.state != LiveState::Online);
    let drift = |object: &LiveObject| Drift {
        kind: DriftKind::NotOnline { state: object.state.clone() },
        what: title(object),
    };
    broken.map(drift).collect()
}

fn title(object: &LiveObject) -> String {
    format!("`{}`, {}", object.name, object.shape)
}

#[cfg(test)]
mod tests {
    use super::super::{SchemaFile, SchemaFileError};
    use super::*;

    fn declared(text: &str) -> Vec<Declaration> {
        SchemaFile::parse(text).unwrap().declarations
    }

    fn live(text: &str) -> Vec<LiveObject> {
        let object = |wanted: Declaration| LiveObject {
            name: wanted.name.unwrap(),
            shape: wanted.shape,
            state: LiveState::Online,
            config: wanted.config,
        };
        declared(text).into_iter().map(object).collect()
    }

    #[test]
    fn statements_in_all_their_forms() {
        for (text, shown) in [
            ("CREATE INDEX FOR (n:A) ON (n.x)", "range index on (:A {x})"),
            ("create range index i if not exists for (n:A) on n.x", "`i`, range index on (:A {x})"),
            (
                "CREATE TEXT INDEX `a ``b`` ;` FOR ()-[r:T]->() ON (r.x) // c",
                "`a `b` ;`, text index on ()-[:T {x}]-()",
            ),
            (
                "CREATE FULLTEXT INDEX f FOR (n:B|A) ON EACH [n.x, n.y]",
                "`f`, fulltext index on (:A|B {x, y})",
            ),
            ("CREATE LOOKUP INDEX l FOR (n) ON EACH labels(n)", "`l`, lookup index on (: {})"),
            (
                "CREATE VECTOR INDEX v FOR (n:A) ON n.e OPTIONS {a: {b: ';}'}}",
                "`v`, vector index on (:A {e})",
            ),
            (
                "CREATE CONSTRAINT c FOR (n:A) REQUIRE (n.x, n.y) IS UNIQUE",
                "`c`, uniqueness constraint on (:A {x, y})",
            ),
            (
                "CREATE CONSTRAINT FOR ()<-[r:T]-() REQUIRE r.x IS RELATIONSHIP UNIQUE;",
                "uniqueness constraint on ()-[:T {x}]-()",
            ),
        ] {
            let declared = declared(text);
            assert_eq!(declared.len(), 1, "{text}");
            assert_eq!(declared[0].title(), shown);
            assert!(declared[0].statement.to_ascii_uppercase().contains(" IF NOT EXISTS "), "{declared:?}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_by_its_line() {
        for (text, line) in [
            ("CREATE INDEX FOR (n:A) ON (n.x);\n\n DROP INDEX x", 3),
            ("MATCH (n) DETACH DELETE n", 1),
            ("// c\nCREATE (n:A)", 2),
            ("CREATE INDEX FOR (n:A)\nON (n.x) MATCH", 2),
            ("CREATE CONSTRAINT FOR (n:A) REQUIRE n.x IS NOT NULL", 1),
            ("CREATE INDEX `a FOR (n:A) ON (n.x)", 1),
            ("CREATE", 1),
            ("CREATE INDEX FOR (n) ON (n.x)", 1),
            ("CREATE INDEX i FOR (n:A) ON (n.x) OPTIONS {", 1),
            ("/* no end", 1),
        ] {
            let error = SchemaFile::parse(text).unwrap_err();
            assert!(
                matches!(error, SchemaFileError::NotUnderstood { line: found, .. } if found == line),
                "{error}"
            );
        }
        let twice =
            SchemaFile::parse("CREATE INDEX a FOR (n:A) ON (n.x);\nCREATE INDEX a FOR (n:B) ON (n.x)");
        assert!(matches!(twice, Err(SchemaFileError::Twice { first: 1, second: 2, .. })));
    }

    #[test]
    fn each_difference_has_its_name() {
        let wanted = declared(
            "CREATE INDEX a FOR (n:A) ON (n.x); CREATE INDEX b FOR (n:B) ON (n.x);
             CREATE INDEX c FOR (n:C) ON (n.x); CREATE INDEX d FOR (n:D) ON (n.x);
             CREATE INDEX FOR (n:E) ON (n.x)",
        );
        let mut there = live(
            "CREATE INDEX a FOR (n:A) ON (n.x); CREATE INDEX b FOR (n:B) ON (n.y);
             CREATE INDEX other FOR (n:C) ON (n.x); CREATE INDEX e FOR (n:E) ON (n.x);
             CREATE INDEX z FOR (n:Z) ON (n.x); CREATE LOOKUP INDEX l FOR (n) ON EACH labels(n)",
        );
        there[0].state = LiveState::Populating(40);
        let drifts = compare(&wanted, &there);
        let kinds: Vec<_> = drifts.iter().map(|drift| drift.kind.name()).collect();
        assert_eq!(kinds, ["not_online", "different", "named_otherwise", "missing", "undeclared"]);
        assert_eq!(drifts.iter().filter(|drift| drift.kind.is_fault()).count(), 4);
        assert_eq!(faults(&there).len(), 1);
    }

    #[test]
    fn options_are_compared_where_both_sides_say_them() {
        let vector = |config: &str| {
            format!(
                "CREATE VECTOR INDEX v FOR (n:A) ON (n.e) OPTIONS {{indexProvider: 'vector-2.0', indexConfig: {{{config}}}}}"
            )
        };
        let there = live(&vector(
            "`vector.dimensions`: 1536, `vector.similarity_function`: 'COSINE', `x.min`: [-1000000.0, 0], `x.on`: true",
        ));
        assert_eq!(there[0].config.len(), 4, "{:?}", there[0].config);
        for (said, found) in [
            ("`vector.dimensions`: 1536", None),
            ("`vector.dimensions`: 1536.0, `vector.similarity_function`: \"cosine\"", None),
            ("`x.min`: [-1e6, 0.0], `x.on`: TRUE, `never.heard.of`: 7", None),
            ("", None),
            // Whatever that is, the server judges it.
            ("`vector.dimensions`: {a: 1}, `x.on`: $p", None),
            ("`vector.dimensions`: 1024", Some("vector.dimensions is 1536, declared is 1024")),
            (
                "`x.on`: true, `vector.similarity_function`: 'euclidean'",
                Some("vector.similarity_function is 'cosine', declared is 'euclidean'"),
            ),
            ("`x.min`: [-1000000.0, 1]", Some("x.min is [-1000000, 0], declared is [-1000000, 1]")),
        ] {
            let drifts = compare(&declared(&vector(said)), &there);
            let shown = drifts.first().map(|drift| (drift.kind.name(), drift.to_string()));
            match found {
                None => assert_eq!(shown, None, "{said}"),
                Some(found) => {
                    let (kind, text) = shown.unwrap_or_else(|| panic!("{said}"));
                    assert!(kind == "other_options" && text.ends_with(found), "{said}: {text}");
                }
            }
        }
        // A server that shows nothing of it, and a declaration that says nothing.
        let silent = live("CREATE VECTOR INDEX v FOR (n:A) ON (n.e)");
        assert!(compare(&declared(&vector("`vector.dimensions`: 3")), &silent).is_empty());
        assert!(compare(&declared("CREATE VECTOR INDEX v FOR (n:A) ON (n.e)"), &there).is_empty());
    }

    #[test]
    fn a_constraint_is_no_index() {
        let wanted = declared("CREATE CONSTRAINT c FOR (n:A) REQUIRE n.x IS UNIQUE");
        let there = live("CREATE INDEX c FOR (n:A) ON (n.x)");
        assert!(matches!(compare(&wanted, &there)[0].kind, DriftKind::Different { .. }));
        assert!(compare(&wanted, &live("CREATE CONSTRAINT c FOR (m:A) REQUIRE (m.x) IS UNIQUE")).is_empty());
    }
}
