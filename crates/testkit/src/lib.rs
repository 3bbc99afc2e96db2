//! Real Neo4j Community servers, a concurrent workload with an oracle, and the judge. Development only.
//!
//! The oracle is independent of what it judges: it knows from the clients' side what each transaction does,
//! finds the transactions' ids in the server's logs with a scanner of its own, and compares every node,
//! relationship, property, label and index with what Neo4j itself reads from a restored directory.

pub mod admin;
pub mod archive;
pub mod bolt;
pub mod campaign;
pub mod commanded;
pub mod console;
pub mod damage;
pub mod data;
pub mod digest;
pub mod error;
pub mod fixture;
pub mod graph;
pub mod health;
pub mod install;
pub mod java;
pub mod judge;
pub mod keeper;
pub mod logs;
pub mod oracle;
pub mod page;
pub mod pitr;
pub mod program;
pub mod prometheus;
pub mod promotions;
pub mod quick_java;
pub mod records;
pub mod recoveries;
pub mod serve;
pub mod server;
mod settings;
pub mod stack;
pub mod stores;
pub mod struck;
pub mod tree;
pub mod value;
pub mod workload;

pub use error::{Error, Result};
pub use fixture::{installation_fixture, store_fixture};
pub use install::Distribution;
pub use judge::{Judge, Verdict, judge_server};
pub use keeper::LogKeeper;
pub use program::Grap;
pub use server::Server;
pub use workload::{Workload, WorkloadOptions};
