//! What the demo prints.
#![expect(clippy::print_stdout, reason = "the demo is read by people")]

use std::io::IsTerminal;

fn paint(code: &str, text: &str) -> String {
    if std::io::stdout().is_terminal() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

pub(crate) fn title(text: &str) {
    println!("{}", paint("1", text));
}

/// The next part of the story.
pub(crate) fn step(number: u32, text: &str) {
    println!("\n{}", paint("1", &format!("{number}. {text}")));
}

pub(crate) fn say(text: &str) {
    println!("{}", format!("   {text}").trim_end());
}

/// A command as it would be typed.
pub(crate) fn command(text: &str) {
    println!("\n   {}", paint("36", &format!("$ {text}")));
}

/// A line that a command printed.
pub(crate) fn output(line: &str) {
    println!("{}", format!("     {line}").trim_end());
}

/// A line about the writers, beside what a command prints.
pub(crate) fn aside(text: &str) {
    println!("   {}", paint("2", &format!("    ~ {text}")));
}

/// One question that was put to the restored database.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) what: String,
    pub(crate) found: String,
    pub(crate) ok: bool,
}

/// Everything that was found; whether all of it is well.
pub(crate) fn verdict(findings: &[Finding], details: &[String], well: &str) -> bool {
    let width = findings.iter().map(|finding| finding.what.chars().count()).max().unwrap_or(0);
    for Finding { what, found, ok } in findings {
        let mark = if *ok { paint("32", "ok    ") } else { paint("31;1", "WRONG ") };
        println!("   {mark} {what:<width$}  {found}");
    }
    for detail in details {
        println!("          {detail}");
    }
    let all = findings.iter().all(|finding| finding.ok);
    let text = if all {
        paint("32;1", well)
    } else {
        paint("31;1", "The restored database is NOT what it should be.")
    };
    println!("\n   {text}");
    all
}

/// `12,345`
pub(crate) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
