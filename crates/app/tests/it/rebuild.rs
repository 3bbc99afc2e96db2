//! A repository rebuilt with other content than the backup had: what a defect of the copy, or a forger, would
//! have stored.

use std::collections::BTreeMap;
use std::path::Path;

use grap::catalog;
use grap::copy::{MANIFEST_NAME, Manifest};
use grap_repository::{
    FileContent, LocalStore, LockHolder, Meta, Node, Repository, SnapshotDraft, TreeId, Writer,
    WriterOptions, digest_of,
};
use grap_task::{Clock, Silent, Stop};
use grap_testkit::Grap;

use crate::support::password;

/// Make the manifest say what the directory holds: so that sizes and hashes give nothing away.
pub(crate) fn adapt(manifest: &mut Manifest, data: &Path) {
    for database in &mut manifest.databases {
        database.files.retain(|file| data.join(&file.path).exists());
        for file in &mut database.files {
            let bytes = std::fs::read(data.join(&file.path)).unwrap();
            file.size = bytes.len() as u64;
            file.digest = digest_of(&mut &bytes[..], file.size).unwrap().unwrap().to_string();
        }
    }
}

/// Publish the files of a directory under a manifest, as a backup does it.
pub(crate) fn publish(grap: &Grap, manifest: &Manifest, data: &Path) {
    let store = LocalStore::open(&grap.repository);
    let repository = Repository::open(Box::new(store), &password(grap)).unwrap();
    let holder = LockHolder { hostname: "host".into(), username: "user".into(), uid: 0, gid: 0 };
    let lock = repository.lock_shared(&holder, &Clock::System).unwrap();
    let stop = Stop::new();
    let mut writer = repository.writer(&lock, &WriterOptions::default(), &stop, &Silent).unwrap();
    let mut files = BTreeMap::new();
    for file in manifest.databases.iter().flat_map(|database| &database.files) {
        let bytes = std::fs::read(data.join(&file.path)).unwrap();
        files.insert(file.path.clone(), writer.add_bytes(&bytes).unwrap());
    }
    files.insert(MANIFEST_NAME.to_owned(), writer.add_bytes(&manifest.to_bytes()).unwrap());
    let root = directory(&mut writer, &files);
    let draft = SnapshotDraft {
        time: manifest.started,
        parent: None,
        paths: vec!["/data".to_owned()],
        hostname: "host".to_owned(),
        username: "user".to_owned(),
        tags: catalog::tags(&manifest.id, &manifest.source, &[]),
        program_version: "test".to_owned(),
    };
    writer.finish(root, draft).unwrap();
    lock.release().unwrap();
}

fn directory(writer: &mut Writer<'_>, files: &BTreeMap<String, FileContent>) -> TreeId {
    let meta = |mode| Meta { mode, modified: "2026-11-25T02:00:00Z".parse().unwrap(), uid: 0, gid: 0 };
    let mut nodes = Vec::new();
    let mut below: BTreeMap<&str, BTreeMap<String, FileContent>> = BTreeMap::new();
    for (name, content) in files {
        match name.split_once('/') {
            Some((folder, rest)) => {
                below.entry(folder).or_default().insert(rest.to_owned(), content.clone());
            }
            None => nodes.push(Node::file(name, &meta(0o644), content)),
        }
    }
    for (name, files) in below {
        let tree = directory(writer, &files);
        nodes.push(Node::dir(name, &meta(0o755), tree));
    }
    writer.save_tree(nodes).unwrap()
}
