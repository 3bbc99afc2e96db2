//! One bash, and the pages that are run in it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::matching::matches;
use super::page::{Page, Step, What};
use crate::error::{Error, Result};
use crate::pitr::Tell;

/// For one command.
const LIMIT: Duration = Duration::from_mins(5);
/// For what `until` waits for.
const UNTIL: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(300);
const MARK: &str = "\u{1}ended ";

/// Who does what no shell can do.
pub trait Actor {
    /// What stands in `<!-- test: ... -->`.
    fn act(&mut self, action: &str) -> Result<()>;

    /// A command that it performs in place of the shell: what that prints.
    fn perform(&mut self, command: &str) -> Option<Result<String>>;
}

/// A bash in a process group of its own.
#[derive(Debug)]
pub struct Session {
    shell: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    /// How a text of the pages is called here. In this order on the way in, and back on the way out.
    names: Vec<(String, String)>,
}

struct Ran {
    status: i32,
    printed: Vec<String>,
}

impl Ran {
    fn of(performed: Result<String>) -> Self {
        let (status, said) = match performed {
            Ok(said) => (0, said),
            Err(error) => (1, error.to_string()),
        };
        Self { status, printed: said.lines().map(str::to_owned).collect() }
    }
}

impl Session {
    /// In the environment of `command`, which is that of a bash.
    pub fn start(mut command: Command, names: Vec<(String, String)>) -> Result<Self> {
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut shell = command.spawn().map_err(Error::file("run", "bash"))?;
        let (Some(input), Some(output)) = (shell.stdin.take(), shell.stdout.take()) else {
            return Err(Error::Claim("a shell without its ends".to_owned()));
        };
        let (sender, lines) = channel();
        thread::spawn(move || {
            let read = BufReader::new(output).split(b'\n').map_while(std::result::Result::ok);
            for line in read {
                let line = String::from_utf8_lossy(&line).into_owned();
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut session = Self { shell, input, lines, names };
        session.run("set -u; exec 2>&1")?;
        Ok(session)
    }

    /// The group of everything that the commands have started, but for what made itself a group of its own.
    pub fn group(&self) -> u32 {
        self.shell.id()
    }

    /// Runs a page. What is not as it is shown, each with page and line; a command that ended otherwise is the last one.
    pub fn follow(&mut self, page: &Page, actor: &mut dyn Actor, tell: Tell<'_>) -> Vec<String> {
        let mut faults = Vec::new();
        let mut until = false;
        for step in &page.steps {
            let begun = Instant::now();
            let done = match &step.what {
                What::Action(action) if action == "until" => {
                    until = true;
                    continue;
                }
                What::Action(action) => self.prepare(action, actor, tell).map(|()| None),
                What::Command { text, expected } => {
                    self.command(text, expected, std::mem::take(&mut until), (actor, tell))
                }
            };
            tell(&format!("{}:{}: {:.1} s", page.name, step.line, begun.elapsed().as_secs_f64()));
            match done {
                Ok(None) => {}
                Ok(Some(fault)) => {
                    faults.push(at(page, step, &fault.text));
                    if fault.is_fatal {
                        break;
                    }
                }
                Err(error) => {
                    faults.push(at(page, step, &error.to_string()));
                    break;
                }
            }
        }
        faults
    }

    fn prepare(&mut self, action: &str, actor: &mut dyn Actor, tell: Tell<'_>) -> Result<()> {
        let Some(named) = action.strip_prefix("let ") else { return actor.act(&self.inward(action)) };
        let Some((name, command)) = named.split_once(" = ") else {
            return Err(Error::Claim(format!("`{action}` is not `let TEXT = COMMAND`")));
        };
        let ran = self.run(&self.inward(command))?;
        match ran.printed.as_slice() {
            [value] if ran.status == 0 && !value.is_empty() => {
                tell(&format!("{name} is {value}"));
                self.names.retain(|(known, _)| known != name);
                self.names.insert(0, (name.to_owned(), value.clone()));
                Ok(())
            }
            printed => {
                Err(Error::Claim(format!("it has status {}, and not one line: {printed:?}", ran.status)))
            }
        }
    }

    fn command(
        &mut self,
        text: &str,
        expected: &[String],
        until: bool,
        (actor, tell): (&mut dyn Actor, Tell<'_>),
    ) -> Result<Option<Fault>> {
        let begun = Instant::now();
        let inward = self.inward(text);
        loop {
            let ran = match actor.perform(&inward) {
                Some(performed) => Ran::of(performed),
                None => self.run(&inward)?,
            };
            let fault = self.judge(text, expected, &ran);
            if fault.is_none() || !until || begun.elapsed() > UNTIL {
                ran.printed.iter().for_each(|line| tell(&format!("    {line}")));
                return Ok(fault);
            }
            thread::sleep(PAUSE);
        }
    }

    fn judge(&self, text: &str, expected: &[String], ran: &Ran) -> Option<Fault> {
        let printed: Vec<String> = ran.printed.iter().map(|line| self.outward(line)).collect();
        let fails = expected.iter().any(|line| line.trim_start().starts_with("error["));
        let is_fatal = (ran.status != 0) != fails;
        let shown = |lines: &[String]| lines.join("\n    ");
        let what = match (is_fatal, matches(expected, trimmed(&printed))) {
            (false, true) => return None,
            (true, _) => format!("it ended with status {}", ran.status),
            (false, false) => "it does not print that".to_owned(),
        };
        let (expected, printed) = (shown(expected), shown(&printed));
        let text = format!("{what}: $ {text}\n  shown:\n    {expected}\n  printed:\n    {printed}\n");
        Some(Fault { text, is_fatal })
    }

    fn run(&mut self, command: &str) -> Result<Ran> {
        let script = format!("{{\n{command}\n}} </dev/null\nprintf '\\n{MARK}%s\\n' $?\n");
        self.input.write_all(script.as_bytes()).map_err(Error::file("write to", "bash"))?;
        let begun = Instant::now();
        let mut printed = Vec::new();
        loop {
            match self.lines.recv_timeout(LIMIT.saturating_sub(begun.elapsed())) {
                Ok(line) => match line.strip_prefix(MARK) {
                    None => printed.push(line),
                    Some(status) => {
                        // The mark begins a line of its own.
                        if printed.last().is_some_and(String::is_empty) {
                            printed.pop();
                        }
                        return Ok(Ran { status: status.trim().parse().unwrap_or(-1), printed });
                    }
                },
                Err(RecvTimeoutError::Timeout) => {
                    let what = format!("`{command}`, which has printed {printed:?}");
                    return Err(Error::Timeout { what, waited: LIMIT });
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::Claim(format!("the shell has ended: {printed:?}")));
                }
            }
        }
    }

    fn inward(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (page, here)| text.replace(page, here))
    }

    fn outward(&self, text: &str) -> String {
        self.names.iter().rev().fold(text.to_owned(), |text, (page, here)| text.replace(here, page))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

struct Fault {
    text: String,
    /// What comes behind it cannot be as it is shown.
    is_fatal: bool,
}

fn at(page: &Page, step: &Step, what: &str) -> String {
    format!("{}:{}: {what}", page.name, step.line)
}

/// Without empty lines at its end: a page shows none.
fn trimmed(lines: &[String]) -> &[String] {
    let end = lines.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |last| last + 1);
    &lines[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Actor for Nobody {
        fn act(&mut self, action: &str) -> Result<()> {
            Err(Error::Claim(format!("nobody knows `{action}`")))
        }

        fn perform(&mut self, _command: &str) -> Option<Result<String>> {
            None
        }
    }

    fn faults(text: &str) -> Vec<String> {
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc"]);
        let names = vec![("/etc/x".to_owned(), "/nowhere/etc/x".to_owned())];
        let mut session = Session::start(bash, names).unwrap();
        session.follow(&Page::parse("p", text).unwrap(), &mut Nobody, &|_| {})
    }

    #[test]
    fn a_page_is_one_shell_with_its_own_names() {
        let text = "```console\n$ a=1\n$ echo $a /etc/x\n1 /etc/x\n```\n<!-- test: let 2020 = echo $((a + 1)) -->\n```console\n\
                    $ [ 2020 = 2 ] && echo 2\n2020\n$ (echo 'error[A]: b'; exit 3)\nerror[A]: ...\n$ cat <<END\n> c\n> END\nc\n```\n";
        assert_eq!(faults(text), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_as_shown_is_named_by_its_line() {
        for (text, line, what) in [
            ("```console\n$ true\n$ echo b\na\n```\n", 3, "it does not print that"),
            ("```console\n$ false\n$ echo b\na\n```\n", 2, "it ended with status 1"),
            ("```console\n$ echo 'error[A]'\nerror[A]\n```\n", 2, "it ended with status 0"),
            ("<!-- test: dance -->\n", 1, "nobody knows"),
            ("```console\n$ exit 1\n```\n", 2, "the shell has ended"),
        ] {
            let faults = faults(text);
            let expected = format!("p:{line}: ");
            assert!(faults.len() == 1 && faults[0].starts_with(&expected), "{faults:?}");
            assert!(faults[0].contains(what), "{faults:?}");
        }
    }
}
