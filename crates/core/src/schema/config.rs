//! What `OPTIONS` says of an index, as far as it is compared: its `indexConfig`, as the dimensions and the similarity of a
//! vector index, or the analyzer of a full-text one.
//!
//! Each value is a text that is the same however it was written: `1536` and `1536.0`, `'COSINE'` and `"cosine"`. What is not
//! understood is not there, and so not compared; the server judges it when it is applied.

use std::collections::BTreeMap;

use super::token::{Token, TokenKind};

/// Values by their name.
pub type IndexConfig = BTreeMap<String, String>;

/// A value that a server shows, in the form that is compared.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigValue {
    Truth(bool),
    Number(f64),
    Text(String),
    Numbers(Vec<f64>),
}

impl ConfigValue {
    pub fn normal(&self) -> String {
        match self {
            Self::Truth(truth) => truth.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => format!("'{}'", text.to_lowercase()),
            Self::Numbers(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
                format!("[{}]", numbers.join(", "))
            }
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.split_whitespace().collect::<String>().parse::<f64>().ok();
        if let Some(list) = text.strip_prefix('[') {
            let items = list.strip_suffix(']')?.split(',').map(number);
            return items.collect::<Option<Vec<f64>>>().map(Self::Numbers);
        }
        for quote in ['\'', '"'] {
            if let Some(quoted) = text.strip_prefix(quote) {
                return quoted.strip_suffix(quote).map(|text| Self::Text(text.to_owned()));
            }
        }
        match text.to_ascii_lowercase().as_str() {
            "true" => Some(Self::Truth(true)),
            "false" => Some(Self::Truth(false)),
            text => number(text).map(Self::Number),
        }
    }
}

/// Of the tokens behind `OPTIONS`, braces included.
pub(super) fn declared(text: &str, tokens: &[Token]) -> IndexConfig {
    let named = |token: &Token| name(token).is_some_and(|name| name == "indexConfig");
    let begins = tokens.windows(3).position(|next| {
        let signs = [&next[1].kind, &next[2].kind];
        named(&next[0]) && signs == [&TokenKind::Sign(':'), &TokenKind::Sign('{')]
    });
    let mut rest = begins.map_or(&[][..], |at| &tokens[at + 3..]);
    let mut config = IndexConfig::new();
    while let [key, colon, value @ ..] = rest
        && let Some(key) = name(key)
        && colon.kind == TokenKind::Sign(':')
        && let Some(length) = length_of(value)
    {
        let said = value[..length].first().zip(value[..length].last());
        let said = said.and_then(|(first, last)| ConfigValue::parse(&text[first.at..last.end]));
        config.extend(said.map(|value| (key.to_owned(), value.normal())));
        match value[length].kind {
            TokenKind::Sign(',') => rest = &value[length + 1..],
            _ => break,
        }
    }
    config
}

fn name(token: &Token) -> Option<&str> {
    match &token.kind {
        TokenKind::Word(name) | TokenKind::Quoted(name) => Some(name),
        _ => None,
    }
}

/// Up to the comma or the brace behind it.
fn length_of(value: &[Token]) -> Option<usize> {
    let mut depth = 0_u32;
    value.iter().position(|token| match token.kind {
        TokenKind::Sign('[' | '{') => {
            depth += 1;
            false
        }
        TokenKind::Sign(',' | '}') if depth == 0 => true,
        TokenKind::Sign(']' | '}') => {
            depth = depth.saturating_sub(1);
            false
        }
        _ => false,
    })
}

/// What both sides say, and say differently: `vector.dimensions is 4, declared is 3`.
pub(super) fn differences(declared: &IndexConfig, live: &IndexConfig) -> Vec<String> {
    let differs = |(name, wanted): (&String, &String)| {
        let found = live.get(name).filter(|found| *found != wanted)?;
        Some(format!("{name} is {found}, declared is {wanted}"))
    };
    declared.iter().filter_map(differs).collect()
}
