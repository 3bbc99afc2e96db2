//! A page, taken apart.

use crate::error::{Error, Result};

#[derive(Debug)]
pub struct Page {
    pub name: String,
    pub steps: Vec<Step>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// From 1.
    pub line: usize,
    pub what: What,
}

#[derive(Debug, PartialEq, Eq)]
pub enum What {
    Action(String),
    Command { text: String, expected: Vec<String> },
}

const ACTION: &str = "<!-- test:";
const FENCE: &str = "```";

impl Page {
    /// Refuses a page that shows a block in which nothing is run.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let mut page = Self { name: name.to_owned(), steps: Vec::new() };
        let mut within = false;
        for (number, line) in (1..).zip(text.lines()) {
            let fault = |what: &str| Err(Error::Claim(format!("{name}:{number}: {what}")));
            match (within, line.trim_start().strip_prefix(FENCE)) {
                (false, Some("console")) => within = true,
                (false, Some(_)) => return fault("a block that is not run: only `console` blocks are"),
                (true, Some("")) => within = false,
                (true, Some(_)) => return fault("a block within a block"),
                (true, None) => {
                    if let Err(what) = page.take(number, line) {
                        return fault(what);
                    }
                }
                (false, None) => {
                    let action = line.trim().strip_prefix(ACTION).and_then(|rest| rest.strip_suffix("-->"));
                    let action = action.map(|action| What::Action(action.trim().to_owned()));
                    page.steps.extend(action.map(|what| Step { line: number, what }));
                }
            }
        }
        Ok(page)
    }

    fn take(&mut self, number: usize, line: &str) -> std::result::Result<(), &'static str> {
        if let Some(command) = line.strip_prefix("$ ") {
            let what = What::Command { text: command.to_owned(), expected: Vec::new() };
            self.steps.push(Step { line: number, what });
            return Ok(());
        }
        let Some(Step { what: What::Command { text, expected }, .. }) = self.steps.last_mut() else {
            return Err("the first line of a block is no command");
        };
        match line.strip_prefix("> ").or_else(|| (line == ">").then_some("")) {
            Some(more) if expected.is_empty() => {
                text.push('\n');
                text.push_str(more);
            }
            _ => expected.push(line.to_owned()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: usize, text: &str, expected: &[&str]) -> Step {
        let expected = expected.iter().map(|line| (*line).to_owned()).collect();
        Step { line, what: What::Command { text: text.to_owned(), expected } }
    }

    #[test]
    fn commands_what_they_print_and_actions_are_found() {
        let text =
            "# A page\n<!-- test: until -->\n```console\n$ cat <<END\n> a\n>\n> END\na\n\n$ true\n```\n";
        let page = Page::parse("p", text).unwrap();
        let action = Step { line: 2, what: What::Action("until".to_owned()) };
        assert_eq!(
            page.steps,
            [action, command(4, "cat <<END\na\n\nEND", &["a", ""]), command(10, "true", &[])]
        );
    }

    #[test]
    fn a_block_that_nobody_runs_is_refused_by_its_line() {
        for (text, line) in
            [("\n```\n$ true\n```\n", 2), ("```sh\ntrue\n```\n", 1), ("```console\nprinted\n```\n", 2)]
        {
            let refused = Page::parse("p", text).unwrap_err().to_string();
            assert!(refused.contains(&format!("p:{line}: ")), "{refused}");
        }
    }
}
