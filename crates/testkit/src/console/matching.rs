//! Whether a command printed what the page shows.

const WILD: &str = "...";

/// `...` stands for any text in a line, and as a line of its own for any lines.
pub(super) fn matches(expected: &[String], printed: &[String]) -> bool {
    match (expected.split_first(), printed.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first.trim() == WILD => {
            (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..]))
        }
        (Some((first, expected)), Some((line, printed))) => {
            line_matches(first, line) && matches(expected, printed)
        }
        _ => false,
    }
}

fn line_matches(expected: &str, printed: &str) -> bool {
    let (expected, printed) = (plain(expected), plain(printed));
    let mut pieces = expected.split(WILD);
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, between)) = pieces.split_last() else { return rest.is_empty() };
    for piece in between {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

fn plain(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(expected: &str, printed: &str) -> bool {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        matches(&lines(expected), &lines(printed))
    }

    #[test]
    fn dots_stand_for_text_and_for_lines() {
        assert!(holds("", "") && holds("...", "") && holds("...", "a\nb"));
        assert!(holds("a\n...\nd", "a\nb\nc\nd") && holds("...\nend", "end"));
        assert!(holds("backup ... is complete", "backup neo4j-1 is  complete"));
        assert!(holds("  a ... b ...", "a 1 b 2") && holds("... of ...", "1 of 2"));
    }

    #[test]
    fn what_differs_does_not_match() {
        for (expected, printed) in
            [("", "a"), ("a", ""), ("a", "ab"), ("a ... b", "a x"), ("a\n...\nc", "a\nb"), ("...\na", "a\nb")]
        {
            assert!(!holds(expected, printed), "{expected:?} {printed:?}");
        }
        assert!(!holds("ab...ab", "ab"), "no piece is found twice in one place");
    }
}
