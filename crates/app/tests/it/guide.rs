//! Every command of the operator guide and of the runbooks is run as an operator runs it, on one real server under
//! `grap supervise` with `grap serve` beside it, from the units of `deploy/`; the guide itself sets them up. The paths of the
//! pages lie in a folder here, and the user `neo4j` is the one who tests.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use grap_testkit::console::{Actor, Page, Session};
use grap_testkit::{Error, tree};
use rustix::process::{Signal, kill_process};

use crate::machine::Machine;

/// In this order: each goes on with what the ones before it have left.
const PAGES: [&str; 6] = [
    "operator-guide.md",
    "runbooks/bad-write.md",
    "runbooks/lost-graph.md",
    "runbooks/corrupted-backup.md",
    FULL_DISK,
    "runbooks/lost-password.md",
];
const FULL_DISK: &str = "runbooks/full-disk.md";

#[test]
fn every_command_of_the_guide_and_the_runbooks_does_what_is_shown() {
    let pages = pages();
    let mut machine = Machine::new();
    let mut faults = Vec::new();
    for page in &pages {
        if page.name.ends_with(FULL_DISK) && !machine.is_small {
            println!("SKIPPED: {}: a small file system can be mounted by root only", page.name);
            continue;
        }
        let begun = Instant::now();
        let mut session = Session::start(machine.bash(), machine.names()).unwrap();
        machine.has_shell(session.group());
        faults = session.follow(page, &mut machine, &|text| println!("{text}"));
        println!("{}: {:.1} s", page.name, begun.elapsed().as_secs_f64());
        if !faults.is_empty() {
            break;
        }
    }
    assert!(faults.is_empty(), "{}\n{}", faults.join("\n"), machine.logs());
}

/// All that there are.
fn pages() -> Vec<Page> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let known: HashSet<PathBuf> = PAGES.iter().map(PathBuf::from).collect();
    for runbook in tree::files(&docs.join("runbooks")).unwrap() {
        let runbook = Path::new("runbooks").join(runbook);
        assert!(known.contains(&runbook), "nobody runs docs/{}", runbook.display());
    }
    let read = |name: &str| fs::read_to_string(docs.join(name)).unwrap();
    PAGES.iter().map(|name| Page::parse(&format!("docs/{name}"), &read(name)).unwrap()).collect()
}

impl Actor for Machine {
    fn act(&mut self, action: &str) -> Result<(), Error> {
        match action {
            "keep the recovery key" => keep_the_recovery_key(self),
            "lose the store" => lose_the_store(self),
            "damage the repository" => damage_the_repository(self),
            "fill the disk" => fill_the_disk(self),
            "lose the password" => fs::remove_file(self.at("etc/grap/password")).unwrap(),
            _ => match action.strip_prefix("clients ") {
                Some(statement) => self.query("neo4j", statement).map(drop)?,
                None => return Err(Error::Claim(format!("there is no action `{action}`"))),
            },
        }
        Ok(())
    }

    fn perform(&mut self, command: &str) -> Option<Result<String, Error>> {
        self.perform(command)
    }
}

/// Where somebody writes it down.
fn keep_the_recovery_key(machine: &Machine) {
    fs::copy(machine.at("etc/grap/recovery-key"), machine.at("mnt/recovery-key")).unwrap();
}

/// As after a disk that has failed: the server dies, and the store is gone.
fn lose_the_store(machine: &Machine) {
    kill_process(machine.holder().unwrap(), Signal::KILL).unwrap();
    fs::remove_dir_all(machine.data().join("databases/neo4j")).unwrap();
}

/// In the middle of the largest pack.
fn damage_the_repository(machine: &Machine) {
    let packs = machine.at("backups/neo4j/data");
    let files = tree::files(&packs).unwrap();
    let largest = files.iter().max_by_key(|file| fs::metadata(packs.join(file)).unwrap().len()).unwrap();
    let path = packs.join(largest);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    let mut bytes = [0; 64];
    file.read_exact_at(&mut bytes, middle).unwrap();
    file.write_all_at(&bytes.map(|byte| !byte), middle).unwrap();
}

/// By somebody else.
fn fill_the_disk(machine: &Machine) {
    let mut file = fs::File::create(machine.at("backups/old-dump.tar")).unwrap();
    for length in [1 << 20, 1 << 16, 4096] {
        while file.write_all(&vec![7; length]).is_ok() {}
    }
}
