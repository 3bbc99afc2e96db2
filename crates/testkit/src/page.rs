//! Pages of the documentation that are generated from the code: a test holds that they are current, `make
//! docs` writes them anew.

use std::fs;
use std::path::Path;

/// Requires that the page (its path from the root of the workspace) holds exactly this text. With
/// `UPDATE_DOCS=1` it is written.
///
/// # Panics
///
/// When the page is stale or cannot be written.
pub fn assert_current(page: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(page);
    if std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let difference = found.lines().zip(text.lines()).find(|(found, wanted)| found != wanted);
    assert!(found == text, "{page} is stale, run `make docs`; the first line that differs: {difference:?}");
}

/// Requires that the page mentions each of these words as code, in backquotes.
///
/// # Panics
///
/// When one is missing.
pub fn assert_mentions<'a>(page: &str, words: impl IntoIterator<Item = &'a str>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(page);
    let found = fs::read_to_string(&path).unwrap_or_default();
    let missing: Vec<&str> = words.into_iter().filter(|word| !found.contains(&format!("`{word}`"))).collect();
    assert!(missing.is_empty(), "{page} does not mention {missing:?}");
}
