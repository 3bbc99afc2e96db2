//! Looking for damage: does everything that is there say the truth, and is everything there that is needed?
//!
//! The check never stops at the first damage, and never panics. Each [`Damage`] names the stored object and
//! the files of which snapshots it hurts; where a blob lies in another pack, too, nothing is hurt.
//!
//! Without [`ReadData`] the structure is checked: names against content of the small objects, index against
//! the listing, every tree, every chunk that a file needs against the index. Only reading the packs tells
//! whether the chunks themselves are whole.

mod packs;
mod report;
mod stored;
mod walk;

use std::collections::{BTreeSet, HashMap};

use grap_task::{Monitor, Stop, Unit};
use rand::seq::SliceRandom;

use crate::error::{RepositoryError, Result};
use crate::format::id::{Id, SnapshotId};
use crate::format::key::KeyFile;
use crate::format::pack::BlobKind;
use crate::format::snapshot::Snapshot;
use crate::index::{Index, Place};
use crate::object::ObjectError;
use crate::repository::{Repository, object_name};
pub use report::{Affected, CheckReport, Damage};
use report::{DamageNumber, Damages};
pub use stored::{StoredPacks, StoredReport};
use walk::Walk;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckOptions {
    pub read_data: ReadData,
    /// Only what this snapshot needs; else everything.
    pub snapshot: Option<SnapshotId>,
}

/// Which packs are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReadData {
    #[default]
    None,
    /// A random choice of so many in a hundred.
    Percent(u8),
    /// The next part of a round through all of them.
    Part(PackRange),
    All,
}

/// A part of a round through the packs: from a place on, so far; at least one pack. The place of a pack is the first
/// four bytes of its id, which are as good as random: so the share of the packs is that of the range, packs come and go
/// without a list of them, and who goes on from where the last part ended has read every pack that stayed, in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackRange {
    pub from: u32,
    /// Of 2^32.
    pub length: u32,
}

impl PackRange {
    /// How far behind its beginning a place lies, going round.
    fn distance(self, place: u32) -> u32 {
        place.wrapping_sub(self.from)
    }

    /// The packs (each with its place), and where the next part begins.
    fn choose(self, packs: &[(usize, u32)]) -> (Vec<usize>, u32) {
        let nearest = packs.iter().map(|(_, place)| self.distance(*place)).min();
        let length = self.length.max(nearest.map_or(0, |nearest| nearest.saturating_add(1)));
        let chosen = packs.iter().filter(|(_, place)| self.distance(*place) < length);
        (chosen.map(|(pack, _)| *pack).collect(), self.from.wrapping_add(length))
    }
}

/// Blobs that lie nowhere whole, each with the damage that took its last place.
type Lost = HashMap<(BlobKind, Id), DamageNumber>;

impl Repository {
    /// Check. An error is returned only if the check itself could not be done; damage is in the report.
    pub fn check(&self, options: &CheckOptions, stop: &Stop, monitor: &dyn Monitor) -> Result<CheckReport> {
        let mut damages = Damages::default();
        let snapshots = self.check_snapshots(options, &mut damages)?;
        self.check_keys(&mut damages)?;
        let index = self.check_index(&mut damages)?;
        let listed = self.inner.list_packs()?;
        let mut bad = check_listing(&index, &listed, &mut damages);

        let (chosen, read_until) = self.choose_packs(options, &index, &snapshots, stop)?;
        let readable: Vec<usize> = chosen.into_iter().filter(|pack| !bad.whole.contains_key(pack)).collect();
        let bytes_read =
            self.look((&index, &snapshots), &readable, (stop, monitor), (&mut damages, &mut bad))?;
        let indexed: BTreeSet<Id> = index.packs().iter().map(|pack| pack.id).collect();
        Ok(CheckReport {
            damages: damages.into_list(),
            snapshots: snapshots.len(),
            packs: listed.len(),
            packs_read: readable.len(),
            packs_unused: listed.keys().filter(|pack| !indexed.contains(pack)).count(),
            bytes_read,
            read_until,
        })
    }

    /// Read these packs, then walk the snapshots, knowing what is bad. Returns the bytes that were read.
    fn look(
        &self,
        (index, snapshots): (&Index, &[Snapshot]),
        readable: &[usize],
        (stop, monitor): (&Stop, &dyn Monitor),
        (damages, bad): (&mut Damages, &mut Bad),
    ) -> Result<u64> {
        let bytes_read = packs::read(self, index, readable, stop, monitor, damages, bad)?;
        let lost = lost_blobs(index, bad);
        monitor.begin("check snapshots", Unit::Items, Some(snapshots.len() as u64));
        let mut walk = Walk::new(self, index, &lost, damages)?;
        for snapshot in snapshots {
            stop.check()?;
            walk.snapshot(snapshot);
            monitor.advance(1);
        }
        Ok(bytes_read)
    }

    fn check_snapshots(&self, options: &CheckOptions, damages: &mut Damages) -> Result<Vec<Snapshot>> {
        let all = self.snapshots()?;
        let named = |name: &str| options.snapshot.is_none_or(|id| object_name("snapshots", id.0) == name);
        let mut damaged = false;
        for error in all.damaged {
            if let RepositoryError::Damaged { object, why } = error
                && named(&object)
            {
                damaged = true;
                damages.add(object, why);
            }
        }
        let wanted = |snapshot: &Snapshot| options.snapshot.is_none_or(|id| id == snapshot.id);
        let found: Vec<Snapshot> = all.found.into_iter().filter(wanted).collect();
        match options.snapshot {
            Some(id) if found.is_empty() && !damaged => {
                Err(ObjectError::NotFound { name: object_name("snapshots", id.0) }.into())
            }
            _ => Ok(found),
        }
    }

    fn check_keys(&self, damages: &mut Damages) -> Result<()> {
        for (id, name) in self.inner.named_objects("keys")? {
            let bytes = self.inner.store.get(&name)?;
            if Id::of(&bytes) != id {
                damages.add(name, "its SHA-256 is not its name".to_owned());
            } else if KeyFile::parse(&bytes).is_err() {
                damages.add(name, "it is no key file".to_owned());
            }
        }
        Ok(())
    }

    fn check_index(&self, damages: &mut Damages) -> Result<Index> {
        let (index, damaged) = self.inner.load_index()?;
        for error in damaged {
            if let RepositoryError::Damaged { object, why } = error {
                damages.add(object, why);
            }
        }
        Ok(index)
    }

    /// The numbers of the packs to read; and where the next part begins, where a part is read.
    fn choose_packs(
        &self,
        options: &CheckOptions,
        index: &Index,
        snapshots: &[Snapshot],
        stop: &Stop,
    ) -> Result<(Vec<usize>, Option<u32>)> {
        let percent = match options.read_data {
            ReadData::None => return Ok((Vec::new(), None)),
            ReadData::Percent(percent) => percent,
            ReadData::Part(_) | ReadData::All => 100,
        };
        let mut packs: Vec<usize> = (0..index.packs().len()).collect();
        if options.snapshot.is_some() {
            let used = self.used_packs(index, snapshots, stop)?;
            packs.retain(|pack| used.contains(pack));
        }
        if let ReadData::Part(range) = options.read_data {
            let place = |pack: usize| (pack, place_of(&index.packs()[pack].id));
            let placed: Vec<(usize, u32)> = packs.into_iter().map(place).collect();
            let (chosen, next) = range.choose(&placed);
            return Ok((chosen, Some(next)));
        }
        // At least one, where there is one: a check that read nothing must not say that all is well.
        packs.shuffle(&mut rand::rng());
        packs.truncate((packs.len() * usize::from(percent.min(100))).div_ceil(100));
        Ok((packs, None))
    }
}

fn place_of(pack: &Id) -> u32 {
    let [a, b, c, d, ..] = *pack.as_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// What is known to be bad: whole packs by number, and single blobs of packs.
#[derive(Default)]
struct Bad {
    whole: HashMap<usize, DamageNumber>,
    blobs: HashMap<(usize, BlobKind, Id), DamageNumber>,
}

impl Bad {
    fn at(&self, place: &Place) -> Option<DamageNumber> {
        let blob = (place.pack, place.blob.kind, place.blob.id);
        self.whole.get(&place.pack).or_else(|| self.blobs.get(&blob)).copied()
    }
}

fn check_listing(index: &Index, listed: &HashMap<Id, u64>, damages: &mut Damages) -> Bad {
    let mut bad = Bad::default();
    for (number, pack) in index.packs().iter().enumerate() {
        let why = match listed.get(&pack.id) {
            Some(size) if *size == pack.size => continue,
            Some(size) => format!("it has {size} bytes instead of {}", pack.size),
            None => "it is missing".to_owned(),
        };
        let damage = damages.add(object_name("data", pack.id), why);
        bad.whole.insert(number, damage);
    }
    bad
}

fn lost_blobs(index: &Index, bad: &Bad) -> Lost {
    let mut lost = Lost::new();
    for place in index.all_blobs() {
        let (kind, id) = (place.blob.kind, place.blob.id);
        if let Some(damage) = bad.at(&place)
            && index.places(kind, &id).all(|place| bad.at(&place).is_some())
        {
            lost.insert((kind, id), damage);
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However many packs there are, and however small the part is: one round reads every one of them, and a share of a
    /// hundredth takes about a hundred parts.
    #[test]
    fn a_round_reads_every_pack() {
        for count in [1usize, 7, 100, 5000] {
            let places = (0..).map(|pack: u32| pack.wrapping_mul(0x9E37_79B1));
            let packs: Vec<(usize, u32)> = (0..count).zip(places).collect();
            let mut from = 0xFFFF_0000_u32;
            let (mut read, mut parts) = (BTreeSet::new(), 0);
            while read.len() < count {
                let range = PackRange { from, length: u32::MAX / 100 };
                let (chosen, next) = range.choose(&packs);
                assert!(!chosen.is_empty(), "a part reads something");
                assert!(chosen.len() <= count.div_ceil(90), "{} of {count}", chosen.len());
                read.extend(chosen);
                from = next;
                parts += 1;
                assert!(parts <= 101, "{count}");
            }
        }
        let none = PackRange { from: 5, length: 10 };
        assert_eq!(none.choose(&[]), (Vec::new(), 15));
    }
}
