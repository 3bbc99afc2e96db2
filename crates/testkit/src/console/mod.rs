//! Pages of the documentation whose commands are run: what an operator reads is what was tried.
//!
//! A page shows commands in blocks of the language `console`, and has no other blocks: one that nobody runs would be
//! believed all the same. In a block a line `$ COMMAND` is run, lines `> ...` right behind it go on with it, and what follows
//! is what it prints, on both of its outputs. `...` stands for any text within a line, and alone for any lines; how much
//! white space there is does not matter. A command has to succeed, but for one that is shown to print `error[CODE]`: that
//! one has to fail.
//!
//! All commands of a page run in one bash, in their order. What no operator would type stands before them in a comment,
//! `<!-- test: ACTION -->`:
//!
//! | action | |
//! |---|---|
//! | `until` | the next command is run again and again until it prints what it should |
//! | `let TEXT = COMMAND` | from here on TEXT on the page stands for what COMMAND prints, in commands and in what they print |
//! | any other | is for the [`Actor`] |

mod matching;
mod page;
mod session;

pub use page::{Page, Step, What};
pub use session::{Actor, Session};
