//! One statement of a schema file, read by descent. An error is the offset where it went wrong, and why.

use super::file::Declaration;
use super::token::{Token, TokenKind};
use super::{Entity, IndexConfig, SchemaKind, Shape, config};

type Parsed<T> = Result<T, (usize, String)>;

/// Words that follow where a name could be.
const NOT_A_NAME: [&str; 2] = ["IF", "FOR"];

pub(super) fn parse(text: &str, tokens: &[Token]) -> Parsed<Declaration> {
    let mut cursor = Cursor { tokens, next: 0 };
    cursor.word("CREATE")?;
    let declared = match cursor.take_word()?.to_ascii_uppercase().as_str() {
        "CONSTRAINT" => constraint(&mut cursor)?,
        "INDEX" => index(&mut cursor, SchemaKind::Range)?,
        kind => {
            let kind = match kind {
                "RANGE" => SchemaKind::Range,
                "TEXT" => SchemaKind::Text,
                "POINT" => SchemaKind::Point,
                "LOOKUP" => SchemaKind::Lookup,
                "FULLTEXT" => SchemaKind::Fulltext,
                "VECTOR" => SchemaKind::Vector,
                _ => return Err((cursor.before(), format!("`{kind}` is nothing that Grap creates"))),
            };
            cursor.word("INDEX")?;
            index(&mut cursor, kind)?
        }
    };
    let options = cursor.options()?;
    Ok(declared.finished(text, tokens, config::declared(text, options)))
}

/// Parsed, without its text.
struct Declared {
    name: Option<String>,
    shape: Shape,
    /// Where IF NOT EXISTS has to be put in.
    missing_if: Option<usize>,
}

impl Declared {
    fn finished(self, text: &str, tokens: &[Token], config: IndexConfig) -> Declaration {
        let (at, end) = (tokens[0].at, tokens[tokens.len() - 1].end);
        let statement = match self.missing_if {
            Some(middle) => format!("{} IF NOT EXISTS{}", &text[at..middle], &text[middle..end]),
            None => text[at..end].to_owned(),
        };
        Declaration { line: 0, name: self.name, shape: self.shape, config, statement }
    }
}

fn constraint(cursor: &mut Cursor<'_>) -> Parsed<Declared> {
    let (name, missing_if) = cursor.name_and_if()?;
    let (entity, tokens) = cursor.pattern()?;
    cursor.word("REQUIRE")?;
    let properties = cursor.properties('(', ')')?;
    cursor.word("IS")?;
    for of in ["NODE", "RELATIONSHIP", "REL"] {
        cursor.skip_word(of);
    }
    if !cursor.skip_word("UNIQUE") {
        return Err((cursor.at(), "Community Edition has no constraint but IS UNIQUE".to_owned()));
    }
    let shape = Shape { kind: SchemaKind::Unique, entity, tokens, properties };
    Ok(Declared { name, shape, missing_if })
}

fn index(cursor: &mut Cursor<'_>, kind: SchemaKind) -> Parsed<Declared> {
    let (name, missing_if) = cursor.name_and_if()?;
    let (entity, tokens) = cursor.pattern()?;
    cursor.word("ON")?;
    let each = cursor.skip_word("EACH");
    let properties = match kind {
        SchemaKind::Lookup => cursor.lookup(entity)?,
        _ if each => cursor.properties('[', ']')?,
        _ => cursor.properties('(', ')')?,
    };
    if kind != SchemaKind::Lookup && tokens.is_empty() {
        return Err((cursor.before(), "no label or type is named".to_owned()));
    }
    Ok(Declared { name, shape: Shape { kind, entity, tokens, properties }, missing_if })
}

struct Cursor<'t> {
    tokens: &'t [Token],
    next: usize,
}

impl<'t> Cursor<'t> {
    fn kind(&self) -> Option<&TokenKind> {
        self.tokens.get(self.next).map(|token| &token.kind)
    }

    /// Where the next token begins; at the end, the last one.
    fn at(&self) -> usize {
        self.tokens[self.next.min(self.tokens.len() - 1)].at
    }

    fn before(&self) -> usize {
        self.tokens[self.next.saturating_sub(1)].at
    }

    fn wanted<T>(&self, what: &str) -> Parsed<T> {
        Err((self.at(), format!("{what} is wanted here")))
    }

    fn skip_word(&mut self, word: &str) -> bool {
        let is = matches!(self.kind(), Some(TokenKind::Word(found)) if found.eq_ignore_ascii_case(word));
        self.next += usize::from(is);
        is
    }

    fn word(&mut self, word: &str) -> Parsed<()> {
        if self.skip_word(word) { Ok(()) } else { self.wanted(word) }
    }

    fn take_word(&mut self) -> Parsed<String> {
        let Some(TokenKind::Word(word)) = self.kind() else { return self.wanted("a word") };
        let word = word.clone();
        self.next += 1;
        Ok(word)
    }

    fn skip_sign(&mut self, sign: char) -> bool {
        let is = self.kind() == Some(&TokenKind::Sign(sign));
        self.next += usize::from(is);
        is
    }

    fn sign(&mut self, sign: char) -> Parsed<()> {
        if self.skip_sign(sign) { Ok(()) } else { self.wanted(&format!("`{sign}`")) }
    }

    fn name(&mut self) -> Parsed<String> {
        let Some(TokenKind::Word(name) | TokenKind::Quoted(name)) = self.kind() else {
            return self.wanted("a name");
        };
        let name = name.clone();
        self.next += 1;
        Ok(name)
    }

    /// The name, and where `IF NOT EXISTS` has to be put in, if it is not there.
    fn name_and_if(&mut self) -> Parsed<(Option<String>, Option<usize>)> {
        let is_name = match self.kind() {
            Some(TokenKind::Quoted(_)) => true,
            Some(TokenKind::Word(word)) => !NOT_A_NAME.iter().any(|other| word.eq_ignore_ascii_case(other)),
            _ => false,
        };
        let name = if is_name { Some(self.name()?) } else { None };
        let end = self.tokens[self.next - 1].end;
        if !self.skip_word("IF") {
            return Ok((name, Some(end)));
        }
        self.word("NOT")?;
        self.word("EXISTS")?;
        Ok((name, None))
    }

    /// `FOR (n:Label)`, `FOR ()-[r:TYPE]-()`
    fn pattern(&mut self) -> Parsed<(Entity, Vec<String>)> {
        self.word("FOR")?;
        self.sign('(')?;
        if !self.skip_sign(')') {
            let tokens = self.variable_and_tokens(')')?;
            return Ok((Entity::Node, tokens));
        }
        self.skip_sign('<');
        self.sign('-')?;
        self.sign('[')?;
        let tokens = self.variable_and_tokens(']')?;
        self.sign('-')?;
        self.skip_sign('>');
        self.sign('(')?;
        self.sign(')')?;
        Ok((Entity::Relationship, tokens))
    }

    /// `n:A|B` up to the closing sign.
    fn variable_and_tokens(&mut self, close: char) -> Parsed<Vec<String>> {
        self.name()?;
        let mut tokens = Vec::new();
        if self.skip_sign(':') {
            tokens.push(self.name()?);
            while self.skip_sign('|') {
                tokens.push(self.name()?);
            }
        }
        self.sign(close)?;
        tokens.sort();
        Ok(tokens)
    }

    /// `n.a`, `(n.a, n.b)`
    fn properties(&mut self, open: char, close: char) -> Parsed<Vec<String>> {
        if !self.skip_sign(open) {
            return Ok(vec![self.property()?]);
        }
        let mut properties = vec![self.property()?];
        while self.skip_sign(',') {
            properties.push(self.property()?);
        }
        self.sign(close)?;
        Ok(properties)
    }

    fn property(&mut self) -> Parsed<String> {
        self.name()?;
        self.sign('.')?;
        self.name()
    }

    /// `labels(n)`, `type(r)`
    fn lookup(&mut self, entity: Entity) -> Parsed<Vec<String>> {
        self.word(if entity == Entity::Node { "labels" } else { "type" })?;
        self.sign('(')?;
        self.name()?;
        self.sign(')')?;
        Ok(Vec::new())
    }

    /// `OPTIONS {...}`, of which the braces are given, and then the end.
    fn options(&mut self) -> Parsed<&'t [Token]> {
        let begin = self.next + 1;
        if self.skip_word("OPTIONS") {
            self.sign('{')?;
            let mut depth = 1;
            while depth > 0 {
                match self.kind() {
                    None | Some(TokenKind::Unended) => return self.wanted("`}`"),
                    Some(TokenKind::Sign('{')) => depth += 1,
                    Some(TokenKind::Sign('}')) => depth -= 1,
                    Some(_) => {}
                }
                self.next += 1;
            }
        }
        match self.kind() {
            None => Ok(self.tokens.get(begin..self.next).unwrap_or_default()),
            Some(_) => self.wanted("the end of the statement (`;`)"),
        }
    }
}
