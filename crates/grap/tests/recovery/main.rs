//! The loop of a recovery in a world of fakes: every order that the table knows, in every state that can be reached, is
//! made to fail, stopped, and killed, before it acts, while it does, and right after. Whoever goes on then finds what is
//! there and comes to an end; a reset leaves nothing.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed; it plays the other process, too"
)]

mod cancel;
mod every;
mod journal;
mod live;
mod resumed;
mod world;
