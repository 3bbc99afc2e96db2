//! The stack in containers, tried with an engine that answers and the image that `GRAP_IMAGE` names, as the stack `GRAP_STACK`
//! (`scripts/stack-test` sees to all three). The exit status is 0 only when all is well.
//!
//! | part | what |
//! |---|---|
//! | `short` | up from nothing; secrets, volumes, networks; each container killed while a client writes; recovery, promotion, rollback; down and up; both containers killed in the middle of a rollback |
//! | `long` | the same, and both containers killed behind every step of a rollback (`GRAP_SOAK_SECONDS` ends it early) |
//! | `idle` | processor time and memory of the idle stack, for `GRAP_STACK_IDLE_SECONDS` (120) |
//! | `jars VERSION` | the directory of that server's jars, fetched if need be: for `scripts/images` |

#![expect(clippy::print_stdout, reason = "its summary is what it is for")]

use std::error::Error;

use grap_testkit::Distribution;
use grap_testkit::campaign::{deadline, seconds};
use grap_testkit::stack::{idle, stack};

fn main() -> Result<(), Box<dyn Error>> {
    let tell = |text: &str| println!("{text}");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["jars", version] => println!("{}", Distribution::jars(version)?.display()),
        ["idle"] => println!("{}", idle(seconds("GRAP_STACK_IDLE_SECONDS", 120), &tell)?),
        ["long"] => println!("{}", stack(true, deadline(), &tell)?),
        [] | ["short"] => println!("{}", stack(false, None, &tell)?),
        _ => return Err(format!("stack {}: no such part", words.join(" ")).into()),
    }
    Ok(())
}
