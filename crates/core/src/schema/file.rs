//! The file that declares a schema, and the cutting of a file into statements.

use super::statement::parse;
use super::token::{Token, TokenKind, tokens};
use super::{IndexConfig, SchemaKind, Shape};

/// What a statement of the file wants to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// Where it begins, counted from 1.
    pub line: usize,
    /// `None`: the server may choose one.
    pub name: Option<String>,
    pub shape: Shape,
    /// What is compared of `OPTIONS`.
    pub config: IndexConfig,
    /// As it is applied: with `IF NOT EXISTS`, whether that was written or not.
    pub statement: String,
}

impl Declaration {
    pub fn is_constraint(&self) -> bool {
        self.shape.kind == SchemaKind::Unique
    }

    /// For people: the name, where there is one, and the shape.
    pub fn title(&self) -> String {
        match &self.name {
            Some(name) => format!("`{name}`, {}", self.shape),
            None => self.shape.to_string(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SchemaFile {
    pub declarations: Vec<Declaration>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaFileError {
    #[error("line {line}: {why}; a schema file holds only CREATE INDEX and CREATE CONSTRAINT ... IS UNIQUE")]
    NotUnderstood { line: usize, why: String },
    #[error("lines {first} and {second} declare the same: {what}")]
    Twice { first: usize, second: usize, what: String },
}

impl SchemaFile {
    pub fn parse(text: &str) -> Result<Self, SchemaFileError> {
        let mut declarations: Vec<Declaration> = Vec::new();
        for statement in cut(text) {
            let line = line_of(text, statement[0].at);
            let declared = parse(text, &statement)
                .map_err(|(at, why)| SchemaFileError::NotUnderstood { line: line_of(text, at), why })?;
            let declared = Declaration { line, ..declared };
            if let Some(first) = declarations.iter().find(|first| is_same(first, &declared)) {
                let what = declared.title();
                return Err(SchemaFileError::Twice { first: first.line, second: line, what });
            }
            declarations.push(declared);
        }
        Ok(Self { declarations })
    }
}

/// Two names for one shape, or two shapes for one name: a server can have only one of them.
fn is_same(one: &Declaration, other: &Declaration) -> bool {
    one.shape == other.shape || (one.name.is_some() && one.name == other.name)
}

/// The statements of a file of Cypher, each with the line where it begins.
pub fn split_statements(text: &str) -> Vec<(usize, &str)> {
    let span = |statement: &Vec<Token>| (statement[0].at, statement.last().map_or(0, |token| token.end));
    let cut = cut(text);
    let spans = cut.iter().map(span);
    spans.map(|(at, end)| (line_of(text, at), &text[at..end])).collect()
}

/// None of them is empty.
fn cut(text: &str) -> Vec<Vec<Token>> {
    let all = tokens(text);
    let statements = all.split(|token| token.kind == TokenKind::Sign(';'));
    statements.filter(|statement| !statement.is_empty()).map(<[Token]>::to_vec).collect()
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}
