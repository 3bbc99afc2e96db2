//! What happens to each pack. Pure: index, listing and marks in, decisions out.
//!
//! Every needed blob has exactly one place that is *kept*, in a pack that is there at its size. A blob may lie in
//! several packs (a run that was killed half-way, two writers at once, one that stored anew what was damaged); then a pack
//! that nobody found damaged keeps it, and of several the one of which the largest share is needed, so that a pack that an interrupted prune wrote wins over the one it was written from. All
//! other places count as unused.

use std::collections::{BTreeSet, HashMap};

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
    damaged: &BTreeSet<Id>,
    limits: Limits,
) -> Result<Decision> {
    let is_whole = |pack: &IndexedPack| listed.get(&pack.id) == Some(&pack.size);
    let whole: Vec<bool> = index.packs().iter().map(is_whole).collect();
    let needed = needed_bytes(index, &whole, marked);
    let (kept, usage) = choose_places(index, (listed, damaged), &whole, &needed, marked)?;
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
    (listed, damaged): (&HashMap<Id, u64>, &BTreeSet<Id>),
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
        let sound = |pack: IndexedPack| !damaged.contains(&pack.id);
        sound(pack_a).cmp(&sound(pack_b)).then(a.cmp(&b)).then(pack_b.id.cmp(&pack_a.id))
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::format::index::{IndexFile, IndexPack};
    use crate::format::pack::{BlobKind, PackedBlob, pack_size};
    use crate::index::IndexBuilder;

    /// Packs of blobs, few enough that many lie in several.
    fn packs() -> impl Strategy<Value = Vec<Vec<(u8, u16)>>> {
        proptest::collection::vec(proptest::collection::vec((0..12_u8, 1..5000_u16), 0..8), 1..8)
    }

    fn index(packs: &[Vec<(u8, u16)>]) -> (Index, Vec<(Id, u64)>) {
        let mut builder = IndexBuilder::default();
        let mut sizes = Vec::new();
        for (number, content) in packs.iter().enumerate() {
            let mut seen = HashSet::new();
            let mut offset = 0;
            let mut blobs = Vec::new();
            for (blob, length) in content.iter().filter(|(blob, _)| seen.insert(*blob)) {
                let kind = if blob % 4 == 0 { BlobKind::Tree } else { BlobKind::Data };
                let length = u32::from(*length) + 32;
                blobs.push(PackedBlob { kind, id: Id::of(&[*blob]), offset, length, uncompressed: None });
                offset += length;
            }
            let id = Id::of(&number.to_le_bytes());
            sizes.push((id, pack_size(&blobs)));
            builder.add(&IndexFile { packs: vec![IndexPack::new(id, &blobs)] }).unwrap();
        }
        (builder.build(), sizes)
    }

    proptest! {
        /// Every needed blob is kept at exactly one place, in a pack that is whole and not removed; or it has no such
        /// place, and nothing is decided.
        #[test]
        fn what_is_needed_is_kept_once(
            packs in packs(),
            needed in proptest::collection::hash_set(0..12_u8, 0..12),
            lost in proptest::collection::hash_set(0..8_usize, 0..3),
            damaged in proptest::collection::hash_set(0..8_usize, 0..3),
            unused_percent in 0..=100_u8,
            repack_bytes in prop_oneof![Just(u64::MAX), 0..10_000_u64],
        ) {
            let (index, sizes) = index(&packs);
            let listed: HashMap<Id, u64> = sizes
                .iter()
                .enumerate()
                .filter(|(number, _)| !lost.contains(number))
                .map(|(_, (id, size))| (*id, *size))
                .collect();
            let mut marked = Bits::for_places(&index);
            for blob in &needed {
                for kind in [BlobKind::Data, BlobKind::Tree] {
                    if let Some(first) = index.first_place(kind, &Id::of(&[*blob])) {
                        marked.set(first);
                    }
                }
            }
            let whole = |place: &Place| listed.contains_key(&index.packs()[place.pack].id);
            let lost_for_good = needed.iter().any(|blob| {
                let [data, tree] = [BlobKind::Data, BlobKind::Tree]
                    .map(|kind| index.places(kind, &Id::of(&[*blob])).collect::<Vec<_>>());
                [data, tree].iter().any(|places| !places.is_empty() && !places.iter().any(whole))
            });
            let limits = Limits { unused_percent, repack_bytes };
            let hurt: BTreeSet<Id> = damaged.iter().filter_map(|number| Some(sizes.get(*number)?.0)).collect();
            let Ok(decision) = decide(&index, &listed, &marked, &hurt, limits) else {
                prop_assert!(lost_for_good);
                return Ok(());
            };
            prop_assert!(!lost_for_good);
            let places: Vec<Place> = index.all_blobs().collect();
            for (number, place) in places.iter().enumerate() {
                let same: Vec<usize> = (0..places.len())
                    .filter(|other| (places[*other].blob.kind, places[*other].blob.id) == (place.blob.kind, place.blob.id))
                    .collect();
                let kept: Vec<&usize> = same.iter().filter(|other| decision.kept.get(**other)).collect();
                prop_assert_eq!(kept.len(), usize::from(marked.get(same[0])));
                if decision.kept.get(number) {
                    prop_assert!(whole(place));
                    let sound = |place: &Place| whole(place) && !hurt.contains(&index.packs()[place.pack].id);
                    prop_assert!(sound(place) || !same.iter().any(|other| sound(&places[*other])));
                    prop_assert!(matches!(decision.fates[place.pack], Fate::Keep | Fate::Repack));
                }
            }
            for (number, fate) in decision.fates.iter().enumerate() {
                let usage = decision.usage[number];
                match fate {
                    Fate::Keep => prop_assert!(usage.kept > 0),
                    Fate::Repack => prop_assert!(usage.kept > 0 && usage.unused > 0),
                    Fate::Remove => prop_assert!(usage.kept == 0 && !lost.contains(&number)),
                    Fate::Forget => prop_assert!(usage.kept == 0 && lost.contains(&number)),
                }
            }
            // No more stays unused than is allowed, unless more must not be copied.
            let sum = |of: &dyn Fn(&Usage) -> u64, fates: &[Fate]| -> u64 {
                let all = decision.usage.iter().zip(&decision.fates);
                all.filter(|(_, fate)| fates.contains(fate)).map(|(usage, _)| of(usage)).sum()
            };
            let kept = sum(&|usage| usage.kept, &[Fate::Keep, Fate::Repack]);
            let percent = u64::from(unused_percent.min(99));
            let left = sum(&|usage| usage.unused, &[Fate::Keep]);
            prop_assert!(left <= kept * percent / (100 - percent) || decision.postponed > 0);
            prop_assert!(sum(&|usage| usage.kept, &[Fate::Repack]) <= repack_bytes);
        }
    }
}
