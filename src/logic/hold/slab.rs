//! Slots addressed by index *and* generation, so that a late timer or wake never reaches the next tenant.
//!
//! Grows in pages that never move: doubling a `Vec` would copy every parked connection and briefly need
//! three times the memory.

/// Entries in a page: large enough that pages are few, small enough that a nearly empty one wastes little.
const PAGE: usize = 512;
const NONE: u32 = u32::MAX;

/// Names one tenancy of one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotKey {
    /// Position in the slab.
    pub index: u32,
    /// How often the position was let before.
    pub generation: u32,
}

struct Entry<T> {
    generation: u32,
    /// While free: the next free index.
    next_free: u32,
    value: Option<T>,
}

/// The slab.
pub struct Slab<T> {
    pages: Vec<Box<[Entry<T>]>>,
    free: u32,
    len: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { pages: Vec::new(), free: NONE, len: 0 }
    }
}

impl<T> Slab<T> {
    /// Bytes one entry takes.
    pub const ENTRY_BYTES: usize = std::mem::size_of::<Entry<T>>();

    /// Entries in use.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is in use.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Entries there is room for without growing.
    pub fn capacity(&self) -> usize {
        self.pages.len() * PAGE
    }

    /// Address and bytes of each page, in the order they were made. They never move and are never given back.
    pub fn pages(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.pages.iter().map(|page| (page.as_ptr() as usize, size_of_val::<[Entry<T>]>(page)))
    }

    /// Lets a slot.
    pub fn insert(&mut self, value: T) -> SlotKey {
        if self.free == NONE {
            self.grow();
        }
        let index = self.free;
        let entry = self.entry_mut(index).expect("a free index is inside the slab");
        let next_free = entry.next_free;
        entry.value = Some(value);
        let generation = entry.generation;
        self.free = next_free;
        self.len += 1;
        SlotKey { index, generation }
    }

    /// Ends a tenancy; `None` when it ended before.
    pub fn remove(&mut self, key: SlotKey) -> Option<T> {
        let free = self.free;
        let entry = self.entry_mut(key.index).filter(|e| e.generation == key.generation)?;
        let value = entry.value.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        entry.next_free = free;
        self.free = key.index;
        self.len -= 1;
        Some(value)
    }

    /// The tenant, if the tenancy lasts.
    pub fn get(&self, key: SlotKey) -> Option<&T> {
        self.entry(key.index).filter(|e| e.generation == key.generation)?.value.as_ref()
    }

    /// The tenant, if the tenancy lasts.
    pub fn get_mut(&mut self, key: SlotKey) -> Option<&mut T> {
        self.entry_mut(key.index).filter(|e| e.generation == key.generation)?.value.as_mut()
    }

    /// The present tenant of an index, with its key.
    pub fn at(&self, index: u32) -> Option<(SlotKey, &T)> {
        let entry = self.entry(index)?;
        let key = SlotKey { index, generation: entry.generation };
        entry.value.as_ref().map(|value| (key, value))
    }

    /// The present tenant of an index.
    pub fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.entry_mut(index)?.value.as_mut()
    }

    /// All tenants, by index.
    pub fn iter(&self) -> impl Iterator<Item = (SlotKey, &T)> {
        (0..self.capacity() as u32).filter_map(|index| self.at(index))
    }

    fn entry(&self, index: u32) -> Option<&Entry<T>> {
        self.pages.get(index as usize / PAGE)?.get(index as usize % PAGE)
    }

    fn entry_mut(&mut self, index: u32) -> Option<&mut Entry<T>> {
        self.pages.get_mut(index as usize / PAGE)?.get_mut(index as usize % PAGE)
    }

    fn grow(&mut self) {
        let first = self.capacity() as u32;
        let last = first + PAGE as u32 - 1;
        let entries = (first..=last).map(|i| Entry { generation: 0, next_free: if i == last { NONE } else { i + 1 }, value: None });
        self.pages.push(entries.collect());
        self.free = first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_key_never_reaches_the_next_tenant() {
        let mut slab = Slab::default();
        let first = slab.insert("first");
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert("second");
        assert_eq!(second.index, first.index);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get(second), Some(&"second"));
    }

    #[test]
    fn all_slots_are_let_once_and_come_back() {
        let mut slab = Slab::default();
        let keys: Vec<_> = (0..2_000).map(|i| slab.insert(i)).collect();
        assert_eq!(slab.iter().count(), 2_000);
        assert!(keys.iter().enumerate().all(|(i, k)| slab.get(*k) == Some(&i)));
        keys.iter().for_each(|k| assert!(slab.remove(*k).is_some()));
        assert!(slab.is_empty());
        let capacity = slab.capacity();
        (0..2_000).for_each(|i| {
            slab.insert(i);
        });
        assert_eq!(slab.capacity(), capacity, "freed slots are used again");
    }
}
