//! Putting a side where it can be exchanged: on the file systems of what it replaces, and as a property of the server's
//! user.
//!
//! Mostly it lies there already: a candidate is made in the live data directory. Where one of its halves lies elsewhere (the
//! logs have a file system of their own), it is copied, whole and synced under another name first; what an earlier try left
//! is written anew. The original stays.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use grap_core::recovery::{Part, Switch};
use grap_disk::{self as disk, Kind, Sink, Source, Stat};
use grap_task::Unit;

use crate::error::{Error, Result};
use crate::ops::Session;
use crate::recovery::halves::{PRIVATE, parent};

const BUFFER: usize = 1 << 20;

pub(super) fn stage(switch: &Switch, data: &Path, session: &Session<'_>) -> Result<()> {
    switch.parts().try_for_each(|part| stage_part(part, data, session))
}

fn stage_part(part: &Part, data: &Path, session: &Session<'_>) -> Result<()> {
    for half in [&part.live.store, &part.live.log] {
        make_parent(Path::new(half), data)?;
    }
    let halves = [
        (&part.found.store, &part.side.store, &part.live.store),
        (&part.found.log, &part.side.log, &part.live.log),
    ];
    for (found, side, live) in halves {
        let (found, side) = (Path::new(found), Path::new(side));
        if found != side && disk::stat(side)?.is_none() {
            copy(found, side, session)?;
        }
        give_to_owner(side, Path::new(live))?;
    }
    Ok(())
}

/// Of a live database that was given up even the directory that it lay in may be gone. Elsewhere than in the data directory
/// its file system may not be mounted: what is put there now would be hidden by what is mounted next.
fn make_parent(half: &Path, data: &Path) -> Result<()> {
    let directory = parent(half);
    if disk::stat(directory)?.is_some() {
        return Ok(());
    }
    if !directory.starts_with(data) || !disk::is_one_mount(directory, data)? {
        let why = format!("{} is not there: is its file system mounted?", directory.display());
        return Err(Error::PromotionRefused { why });
    }
    disk::make_dirs(directory, Some(PRIVATE))?;
    if let Some(model) = disk::stat(data)? {
        for made in directory.ancestors().take_while(|path| *path != data) {
            disk::set_mode(made, model.mode)?;
            if let Some(found) = disk::stat(made)? {
                give(made, &found, &model)?;
            }
        }
    }
    Ok(disk::sync_dir(directory)?)
}

/// To whom the model belongs.
fn give(path: &Path, found: &Stat, model: &Stat) -> Result<()> {
    if (found.uid, found.gid) != (model.uid, model.gid) {
        disk::chown(path, model.uid, model.gid)?;
    }
    Ok(())
}

/// What [`stage`] has copied.
pub(super) fn remove(switch: &Switch) -> Result<()> {
    let halves = |part: &Part| {
        let store = (part.found.store.clone(), part.side.store.clone());
        [store, (part.found.log.clone(), part.side.log.clone())]
    };
    for (found, side) in switch.parts().flat_map(halves) {
        if found != side {
            disk::remove_tree(parent(parent(Path::new(&side))))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, session: &Session<'_>) -> Result<()> {
    disk::make_dirs(parent(to), Some(PRIVATE))?;
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let partial = to.with_file_name(format!(".partial-{name}"));
    disk::remove_tree(&partial)?;
    disk::create_dir_all(&partial)?;
    let entries = disk::walk(from)?;
    let bytes = entries.iter().map(|entry| entry.stat.size).sum();
    session.monitor.begin("copying to the live file system", Unit::Bytes, Some(bytes));
    for entry in entries {
        let target = in_copy(&entry.path, from, &partial)?;
        match entry.stat.kind {
            Kind::Directory => disk::create_dir_all(&target)?,
            Kind::File => copy_file(&entry.path, &target, &entry.stat, session)?,
            Kind::Symlink | Kind::Other => {
                let why = format!("{} is neither a file nor a directory", entry.path.display());
                return Err(Error::PromotionRefused { why });
            }
        }
    }
    disk::sync_tree(&partial)?;
    disk::rename_new(&partial, to)?;
    Ok(disk::sync_dir(parent(to))?)
}

fn in_copy(path: &Path, from: &Path, to: &Path) -> Result<PathBuf> {
    let below = path.strip_prefix(from).map_err(|_| Error::CandidatePath { path: path.to_owned() })?;
    Ok(to.join(below))
}

fn copy_file(from: &Path, to: &Path, stat: &Stat, session: &Session<'_>) -> Result<()> {
    let (mut source, mut sink) = (Source::open(from)?, Sink::create(to)?);
    let mut buffer = vec![0; BUFFER];
    loop {
        session.stop.check()?;
        let read = source.read(&mut buffer).map_err(|error| disk::DiskError::reading(from, error))?;
        if read == 0 {
            break;
        }
        sink.write_all(&buffer[..read])?;
        session.monitor.advance(read as u64);
    }
    sink.set_mode(stat.mode)?;
    sink.finish()?;
    Ok(disk::set_times(to, stat.modified)?)
}

/// The server's user, as whose the live directories are: those of the live half, else of the directory that it lay in.
fn give_to_owner(side: &Path, live: &Path) -> Result<()> {
    let model = match disk::stat(live)? {
        Some(stat) => Some(stat),
        None => disk::stat(parent(live))?,
    };
    let Some(model) = model else { return Ok(()) };
    for entry in disk::walk(side)? {
        give(&entry.path, &entry.stat, &model)?;
    }
    if let Some(stat) = disk::stat(side)? {
        give(side, &stat, &model)?;
    }
    Ok(disk::sync_dir(side)?)
}
