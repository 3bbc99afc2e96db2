//! Cypher cut into tokens, as far as schema statements need it: words, quoted names, texts, signs; comments go.

/// With the offset of its first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) at: usize,
    /// Behind its last byte.
    pub(super) end: usize,
    pub(super) kind: TokenKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// Unquoted: a keyword, or a name.
    Word(String),
    /// In backticks: a name.
    Quoted(String),
    /// In quotes.
    Text,
    Sign(char),
    /// What a quote or a comment that does not end leaves.
    Unended,
}

pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (length, kind) = if first.is_whitespace() {
            (first.len_utf8(), None)
        } else if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), None)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            match comment.find("*/") {
                Some(end) => (end + 4, None),
                None => (rest.len(), Some(TokenKind::Unended)),
            }
        } else {
            let (length, kind) = token(rest, first);
            (length, Some(kind))
        };
        if let Some(kind) = kind {
            tokens.push(Token { at, end: at + length, kind });
        }
        at += length;
    }
    tokens
}

fn token(rest: &str, first: char) -> (usize, TokenKind) {
    match first {
        '`' => quoted_name(rest),
        '\'' | '"' => quoted_text(rest, first),
        _ if is_of_word(first) => {
            let end = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
            (end, TokenKind::Word(rest[..end].to_owned()))
        }
        _ => (first.len_utf8(), TokenKind::Sign(first)),
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A backtick in a name is written twice.
fn quoted_name(rest: &str) -> (usize, TokenKind) {
    let mut name = String::new();
    let mut at = 1;
    while let Some(length) = rest[at..].find('`') {
        name += &rest[at..at + length];
        at += length + 1;
        if !rest[at..].starts_with('`') {
            return (at, TokenKind::Quoted(name));
        }
        name.push('`');
        at += 1;
    }
    (rest.len(), TokenKind::Unended)
}

fn quoted_text(rest: &str, quote: char) -> (usize, TokenKind) {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return (at + 1, TokenKind::Text),
            _ => {}
        }
    }
    (rest.len(), TokenKind::Unended)
}
