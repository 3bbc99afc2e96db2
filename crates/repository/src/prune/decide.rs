//! What happens to each pack. Pure: index, listing and marks in, decisions out.
//!
//! Every needed blob has exactly one place that is *kept*, in a pack that is there at its size. A blob may lie in
//! several packs (a run that was killed half-way, two writers at once); then the pack of which the largest share
//! is needed keeps it, so that a pack that an interrupted prune wrote wins over the one it was written from. All
//! other places count as unused.

use std::collections::HashMap;

use super::mark::Bits;
use crate::error::{RepositoryError, Result};
use crate::format::id::Id;
use crate::index::{Index, IndexedPack, Place};
use crate::repository::object_name;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Keep,
    /// What is kept of it is written to new packs; then it goes.
    Repack,
    Remove,
    /// It is not there, and not needed: only the index has to forget it.
    Forget,
}

/// How much unused room is left alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) unused_percent: u8,
    pub(super) repack_bytes: u64,
}

pub(super) struct Decision {
    /// By the number of the pack in the index.
    pub(super) fates: Vec<Fate>,
    pub(super) usage: Vec<Usage>,
    /// Packs that would be written anew if more might be copied.
    pub(super) postponed: usize,
    /// The one place of each needed blob that stays or is copied.
    pub(super) kept: Bits,
}

/// Bytes in a pack, its blobs' entries in the header included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) blobs: u64,
    pub(super) kept: u64,
    pub(super) unused: u64,
}

pub(super) fn decide(
    index: &Index,
    listed: &HashMap<Id, u64>,
    marked: &Bits,
    limits: Limits,
) -> Result<Decision> {
    let is_whole = |pack: &IndexedPack| listed.get(&pack.id) == Some(&pack.size);
    let whole: Vec<bool> = index.packs().iter().map(is_whole).collect();
    let needed = needed_bytes(index, &whole, marked);
    let (kept, usage) = choose_places(index, listed, &whole, &needed, marked)?;
    let mut fates: Vec<Fate> = Vec::with_capacity(usage.len());
    for (pack, usage) in index.packs().iter().zip(&usage) {
        fates.push(match usage {
            Usage { kept: 0, .. } if !listed.contains_key(&pack.id) => Fate::Forget,
            Usage { kept: 0, .. } => Fate::Remove,
            _ => Fate::Keep,
        });
    }
    let postponed = choose_repacked(index.packs(), &usage, limits, &mut fates);
    Ok(Decision { fates, usage, postponed, kept })
}

/// Bytes of each pack that are needed, whether or not they lie elsewhere, too.
fn needed_bytes(index: &Index, whole: &[bool], marked: &Bits) -> Vec<u64> {
    let mut needed = vec![0; index.packs().len()];
    for_each_blob(index, |first, places| {
        if marked.get(first) {
            for place in places.iter().filter(|place| whole[place.pack]) {
                needed[place.pack] += place.blob.bytes_in_pack();
            }
        }
        Ok(())
    })
    .unwrap_or_default();
    needed
}

fn choose_places(
    index: &Index,
    listed: &HashMap<Id, u64>,
    whole: &[bool],
    needed: &[u64],
    marked: &Bits,
) -> Result<(Bits, Vec<Usage>)> {
    let mut kept = Bits::for_places(index);
    let mut usage = vec![Usage::default(); index.packs().len()];
    // needed[a] / size[a] against needed[b] / size[b]; of equal ones always the same, whatever the order is.
    let share = |a: &Place, b: &Place| {
        let [pack_a, pack_b] = [index.packs()[a.pack], index.packs()[b.pack]];
        let [a, b] = [(a, pack_b.size), (b, pack_a.size)]
            .map(|(place, other)| u128::from(needed[place.pack]) * u128::from(other));
        a.cmp(&b).then(pack_b.id.cmp(&pack_a.id))
    };
    for_each_blob(index, |first, places| {
        let best = if marked.get(first) {
            let candidates = places.iter().enumerate().filter(|(_, place)| whole[place.pack]);
            let best = candidates.max_by(|(_, a), (_, b)| share(a, b)).map(|(at, _)| at);
            Some(best.ok_or_else(|| lost(index, listed, &places[0]))?)
        } else {
            None
        };
        for (at, place) in places.iter().enumerate() {
            let bytes = place.blob.bytes_in_pack();
            let usage = &mut usage[place.pack];
            usage.blobs += 1;
            if Some(at) == best {
                kept.set(first + at);
                usage.kept += bytes;
            } else {
                usage.unused += bytes;
            }
        }
        Ok(())
    })?;
    Ok((kept, usage))
}

/// A needed blob has no place in a pack that is whole: the first pack that should have it is named.
fn lost(index: &Index, listed: &HashMap<Id, u64>, place: &Place) -> RepositoryError {
    let pack = index.packs()[place.pack];
    let what = match listed.get(&pack.id) {
        None => "it is missing".to_owned(),
        Some(found) => format!("it has {found} bytes instead of {}", pack.size),
    };
    let why = format!("{what}, and {} {} in it is needed", place.blob.kind, place.blob.id);
    RepositoryError::Damaged { object: object_name("data", pack.id), why }
}

/// Each blob once, with all of its places and the number of the first.
fn for_each_blob(index: &Index, mut each: impl FnMut(usize, &[Place]) -> Result<()>) -> Result<()> {
    let mut places: Vec<Place> = Vec::new();
    let mut first = 0;
    for (number, place) in index.all_blobs().enumerate() {
        let same = places
            .last()
            .is_none_or(|last| (last.blob.kind, last.blob.id) == (place.blob.kind, place.blob.id));
        if !same {
            each(first, &places)?;
            places.clear();
            first = number;
        }
        places.push(place);
    }
    if places.is_empty() { Ok(()) } else { each(first, &places) }
}

/// Partly used packs, those with the largest unused share first, until little enough is unused. Returns how many
/// more there would be if more might be copied.
fn choose_repacked(packs: &[IndexedPack], usage: &[Usage], limits: Limits, fates: &mut [Fate]) -> usize {
    let mut partly: Vec<usize> =
        (0..packs.len()).filter(|pack| fates[*pack] == Fate::Keep && usage[*pack].unused > 0).collect();
    partly.sort_by(|a, b| {
        let [in_a, in_b] = [(*a, *b), (*b, *a)]
            .map(|(one, other)| u128::from(usage[one].unused) * u128::from(packs[other].size));
        in_b.cmp(&in_a).then(packs[*a].id.cmp(&packs[*b].id))
    });
    let kept: u128 = usage.iter().map(|usage| u128::from(usage.kept)).sum();
    let mut unused: u128 = partly.iter().map(|pack| u128::from(usage[*pack].unused)).sum();
    let percent = u128::from(limits.unused_percent.min(99));
    let allowed = kept * percent / (100 - percent);
    let (mut repacked, mut postponed) = (0, 0);
    for pack in partly {
        if unused <= allowed {
            break;
        }
        if repacked + usage[pack].kept <= limits.repack_bytes {
            repacked += usage[pack].kept;
            unused -= u128::from(usage[pack].unused);
            fates[pack] = Fate::Repack;
        } else {
            postponed += 1;
        }
    }
    postponed
}
