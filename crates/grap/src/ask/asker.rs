//! The questions that are put to a server. Each is one statement in a read transaction, and ends in time: the limit of
//! the statement, within the budget of the connection.
//!
//! A `SHOW` command sees what is there at that moment, not a snapshot: two of them can straddle a change. Who finds
//! something wrong asks again ([`crate::ops`] does).

use std::time::Duration;

use grap_bolt::client::{Access, Answer, Connection, Options, Scope, Statement, Summary};
use grap_bolt::{Bookmark, Error, Result, Value};
use grap_core::schema::{
    ConfigValue, Declaration, Entity, IndexConfig, LiveObject, LiveState, SchemaKind, Shape,
};

/// A connection, and the database that is asked about.
pub struct Asker {
    connection: Connection,
    scope: Scope,
}

/// So many of this label or type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    pub name: String,
    pub count: i64,
}

/// By the server's count store: no node is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    pub nodes: i64,
    pub relationships: i64,
    pub labels: Vec<Count>,
    pub types: Vec<Count>,
}

/// How the server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseStatus {
    pub name: String,
    /// `online`, `offline` ...
    pub status: String,
    /// Why.
    pub message: String,
    /// By which its store calls itself ([`grap_neo4j::metadata::Metadata::database_id`]); of one that is not there it may be missing.
    pub id: Option<String>,
}

const DATABASES: &str = "SHOW DATABASES YIELD name, currentStatus, statusMessage, databaseID \
                         RETURN name, currentStatus, statusMessage, databaseID ORDER BY name";
const INDEXES: &str = "SHOW INDEXES YIELD name, type, entityType, labelsOrTypes, properties, state, \
                       populationPercent, failureMessage, owningConstraint, options";
const CONSTRAINTS: &str =
    "SHOW CONSTRAINTS YIELD name, type, entityType, labelsOrTypes, properties, ownedIndex";

impl Asker {
    /// `database`: the user's home database by default.
    pub fn open(options: &Options, database: Option<&str>) -> Result<Self> {
        let scope = Scope { database: database.map(str::to_owned), ..Scope::default() };
        Ok(Self { connection: Connection::open(options)?, scope })
    }

    /// Everything from now on ends within so much time.
    pub fn set_budget(&mut self, budget: Duration) {
        self.connection.set_budget(Some(budget));
    }

    /// What the server calls itself.
    pub fn agent(&self) -> &str {
        self.connection.agent()
    }

    pub(super) fn ask(&mut self, statement: impl Into<Statement>) -> Result<Answer> {
        self.connection.run(&self.scope, statement)?.answer()
    }

    /// Whether the database answers.
    pub fn ping(&mut self) -> Result<()> {
        let answer = self.ask("RETURN 1 AS one")?;
        match answer.single().and_then(Value::as_int) {
            Some(1) => Ok(()),
            _ => Err(self.unexpected("1 is not 1")),
        }
    }

    /// Of the database: what a bookmark of a read says.
    pub fn newest_transaction(&mut self) -> Result<u64> {
        let answer = self.ask("RETURN 1")?;
        let bookmark = answer.summary.bookmark().and_then(Bookmark::parse);
        Ok(bookmark.ok_or_else(|| self.unexpected("no bookmark that can be read"))?.transaction)
    }

    /// Every database of the server.
    pub fn databases(&mut self) -> Result<Vec<DatabaseStatus>> {
        let rows = self.ask(DATABASES)?.rows;
        let text = |row: &[Value], column| text_at(row, column).to_owned();
        let status = |row: &Vec<Value>| DatabaseStatus {
            name: text(row, 0),
            status: text(row, 1),
            message: text(row, 2),
            id: row.get(3).and_then(Value::as_text).filter(|id| !id.is_empty()).map(str::to_owned),
        };
        Ok(rows.iter().map(status).collect())
    }

    /// Whatever a check of the user's asks, in a transaction that may not write; at most `most` of its rows, as text.
    pub fn rows(&mut self, statement: &str, most: usize) -> Result<Vec<String>> {
        let mut rows = self.connection.run(&self.scope, statement)?;
        let mut shown = Vec::new();
        for row in rows.by_ref().take(most) {
            shown.push(row?.iter().map(text).collect::<Vec<_>>().join(", "));
        }
        Ok(shown)
    }

    /// Every index that no constraint owns, and every constraint.
    pub fn schema(&mut self) -> Result<Vec<LiveObject>> {
        let indexes = self.ask(INDEXES)?.rows;
        let constraints = self.ask(CONSTRAINTS)?.rows;
        let indexes: Vec<Index> = indexes.iter().map(|row| index(row)).collect();
        let mut live: Vec<LiveObject> = constraints.iter().map(|row| constraint(row, &indexes)).collect();
        live.extend(indexes.into_iter().filter(|index| !index.owned).map(|index| index.object));
        Ok(live)
    }

    /// Makes it, if it is not there.
    pub fn apply(&mut self, wanted: &Declaration, limit: Duration) -> Result<()> {
        self.change(Statement::new(wanted.statement.as_str()).limit(limit)).map(drop)
    }

    /// In a transaction of its own that may write.
    pub(super) fn change(&mut self, statement: Statement) -> Result<Summary> {
        let scope = Scope { access: Access::Write, ..self.scope.clone() };
        self.connection.run(&scope, statement)?.finish()
    }

    pub fn node_count(&mut self) -> Result<i64> {
        self.number("MATCH (n) RETURN count(n)")
    }

    pub fn relationship_count(&mut self) -> Result<i64> {
        self.number("MATCH ()-[r]->() RETURN count(r)")
    }

    pub fn counts(&mut self) -> Result<Counts> {
        let mut counts = Counts {
            nodes: self.node_count()?,
            relationships: self.relationship_count()?,
            ..Counts::default()
        };
        for name in self.names("CALL db.labels() YIELD label RETURN label ORDER BY label")? {
            let count = self.number(&format!("MATCH (n:{}) RETURN count(n)", quoted(&name)))?;
            counts.labels.push(Count { name, count });
        }
        counts.types = self.type_counts()?;
        Ok(counts)
    }

    fn type_counts(&mut self) -> Result<Vec<Count>> {
        let types = "CALL db.relationshipTypes() YIELD relationshipType RETURN relationshipType ORDER BY relationshipType";
        let mut counts = Vec::new();
        for name in self.names(types)? {
            let count = self.number(&format!("MATCH ()-[r:{}]->() RETURN count(r)", quoted(&name)))?;
            counts.push(Count { name, count });
        }
        Ok(counts)
    }

    fn names(&mut self, statement: &str) -> Result<Vec<String>> {
        let rows = self.ask(statement)?.rows;
        Ok(rows.iter().filter_map(|row| row.first()?.as_text().map(str::to_owned)).collect())
    }

    fn number(&mut self, statement: &str) -> Result<i64> {
        let number = self.ask(statement)?.single().and_then(Value::as_int);
        number.ok_or_else(|| self.unexpected("a count is no number"))
    }

    pub(super) fn unexpected(&self, what: &str) -> Error {
        Error::Unexpected { doing: "run", server: self.connection.server().to_owned(), what: what.to_owned() }
    }
}

struct Index {
    object: LiveObject,
    /// By a constraint, which stands for it.
    owned: bool,
}

fn index(row: &[Value]) -> Index {
    let state = match text_at(row, 5) {
        "ONLINE" => LiveState::Online,
        "POPULATING" => LiveState::Populating(percent(row.get(6))),
        _ => LiveState::Failed(text_at(row, 7).to_owned()),
    };
    let config = row.get(9).map(config).unwrap_or_default();
    let object = LiveObject { name: text_at(row, 0).to_owned(), shape: shape(row), state, config };
    Index { object, owned: row.get(8).is_some_and(|owner| !owner.is_null()) }
}

/// What the options of an index say under `indexConfig`, as far as it can be compared.
fn config(options: &Value) -> IndexConfig {
    let pairs = |value: &Value| match value {
        Value::Map(map) => map.0.clone(),
        _ => Vec::new(),
    };
    let said = pairs(options).into_iter().filter(|(name, _)| name == "indexConfig");
    let said = said.flat_map(|(_, config)| pairs(&config));
    said.filter_map(|(name, value)| Some((name, config_value(&value)?.normal()))).collect()
}

fn config_value(value: &Value) -> Option<ConfigValue> {
    let number = |value: &Value| match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    };
    match value {
        Value::Bool(truth) => Some(ConfigValue::Truth(*truth)),
        Value::Text(text) => Some(ConfigValue::Text(text.clone())),
        Value::List(items) => {
            items.iter().map(number).collect::<Option<Vec<f64>>>().map(ConfigValue::Numbers)
        }
        other => number(other).map(ConfigValue::Number),
    }
}

/// It is as good as the index that it owns. A constraint of Enterprise Edition may own none.
fn constraint(row: &[Value], indexes: &[Index]) -> LiveObject {
    let shape = shape(row);
    let owned = row.get(5).and_then(Value::as_text);
    let state = match owned {
        Some(owned) => match indexes.iter().find(|index| index.object.name == owned) {
            Some(index) => index.object.state.clone(),
            None => LiveState::WithoutIndex,
        },
        None if shape.kind == SchemaKind::Unique => LiveState::WithoutIndex,
        None => LiveState::Online,
    };
    LiveObject { name: text_at(row, 0).to_owned(), shape, state, config: IndexConfig::new() }
}

/// Of both commands: columns 1 to 4.
fn shape(row: &[Value]) -> Shape {
    let entity = if text_at(row, 2) == "RELATIONSHIP" { Entity::Relationship } else { Entity::Node };
    let mut tokens = texts_at(row, 3);
    tokens.sort();
    Shape { kind: SchemaKind::of_server(text_at(row, 1)), entity, tokens, properties: texts_at(row, 4) }
}

fn text_at(row: &[Value], column: usize) -> &str {
    row.get(column).and_then(Value::as_text).unwrap_or_default()
}

fn texts_at(row: &[Value], column: usize) -> Vec<String> {
    let list = row.get(column).and_then(Value::as_list).unwrap_or_default();
    list.iter().filter_map(|value| value.as_text().map(str::to_owned)).collect()
}

fn percent(value: Option<&Value>) -> u8 {
    let percent = value.and_then(Value::as_float).unwrap_or(0.0).clamp(0.0, 100.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100")]
    let percent = percent as u8;
    percent
}

/// A name in Cypher: a backtick in it is written twice.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// For people.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(value) => value.clone(),
        other => format!("{other:?}"),
    }
}
