//! A second Neo4j, started by us on a restored database: on loopback, with a password of its own, for as long as we
//! live.
//!
//! - [`ServerInstallation`]: what can be started: the jars of a release that we know, and a Java that runs it.
//! - [`InstanceFolder`]: the directory of one instance, held under a lock; what a dead process left is ended and
//!   removed by the next one.
//! - [`InstanceHome`]: the private home in it: its settings reach out nowhere, its `system` database is a new one.
//! - [`TestInstance`]: the server itself. It ends with us, however we end.
//! - [`check_by_admin`]: the server's own checker, on what it has stopped cleanly.
//!
//! The live database is never touched by one: an instance has directories, ports and users of its own, and of the live one's
//! settings only takes over those that its store needs.
//!
//! [`control`] is the other half of this room: how the live server itself is stopped and started, which only a promotion
//! does.

mod admin;
mod configuration;
pub mod control;
mod error;
mod folder;
mod home;
mod installation;
mod java;
mod left;
mod process;
mod release;
mod test_instance;

pub use admin::{Checked, check_by_admin};
pub use error::ServerError;
pub use folder::InstanceFolder;
pub(crate) use home::InstancePlace;
#[cfg(test)]
pub(crate) use home::tests::home as nothing_to_start;
pub use home::{InstanceHome, InstanceOptions};
pub use installation::{InstallationPlace, ServerInstallation};
pub use java::JavaPlace;
pub(crate) use left::end_processes;
pub use release::ServerRelease;
pub use test_instance::{Mode, TestInstance};
