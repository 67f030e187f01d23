//! A map whose rows lie in small pages, without gaps, and whose table has their places only.
//!
//! A table of the rows themselves is up to twice as large as they are just after it has doubled; a place takes 5 bytes there, a row 72.

use hashbrown::HashTable;

/// Bytes of a page, at most.
const PAGE_BYTES: usize = 2_048;

/// A row that knows its key.
pub(super) trait Row {
    type Key: PartialEq;

    fn key(&self) -> Self::Key;

    /// Of a key; a keyed hash already.
    fn hash(key: &Self::Key) -> u64;
}

/// The map.
pub(super) struct Dense<T> {
    places: HashTable<u32>,
    /// All full but the last.
    pages: Vec<Vec<T>>,
}

impl<T> Default for Dense<T> {
    fn default() -> Self {
        Dense { places: HashTable::new(), pages: Vec::new() }
    }
}

impl<T: Row> Dense<T> {
    const PAGE_ROWS: usize = PAGE_BYTES / size_of::<T>();

    /// Rows.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The row of a key.
    pub(super) fn get(&self, key: &T::Key) -> Option<&T> {
        let place = self.places.find(T::hash(key), |place| row(&self.pages, *place).key() == *key)?;
        Some(row(&self.pages, *place))
    }

    /// The row of a key; its key must stay.
    pub(super) fn get_mut(&mut self, key: &T::Key) -> Option<&mut T> {
        let place = *self.places.find(T::hash(key), |place| row(&self.pages, *place).key() == *key)?;
        Some(row_mut(&mut self.pages, place))
    }

    /// Adds a row of which there is none with this key.
    pub(super) fn insert(&mut self, new: T) {
        let (pages, place) = (&mut self.pages, self.places.len() as u32);
        let hash = T::hash(&new.key());
        if pages.last().is_none_or(|page| page.len() == Self::PAGE_ROWS) {
            pages.push(Vec::with_capacity(Self::PAGE_ROWS));
        }
        pages.last_mut().expect("a page was pushed").push(new);
        self.places.insert_unique(hash, place, |place| T::hash(&row(pages, *place).key()));
    }

    /// Takes a row out; the last one comes into its place.
    pub(super) fn remove(&mut self, key: &T::Key) -> Option<T> {
        let Ok(found) = self.places.find_entry(T::hash(key), |place| row(&self.pages, *place).key() == *key) else { return None };
        let (place, _) = found.remove();
        let last = self.places.len() as u32;
        if place != last {
            let hash = T::hash(&row(&self.pages, last).key());
            *self.places.find_mut(hash, |at| *at == last).expect("every row has its place") = place;
        }
        let moved = self.pages.last_mut().and_then(Vec::pop)?;
        self.pages.pop_if(|page| page.is_empty());
        if self.pages.is_empty() {
            self.places = HashTable::new();
        }
        match place == last {
            true => Some(moved),
            false => Some(std::mem::replace(row_mut(&mut self.pages, place), moved)),
        }
    }

    /// Takes all rows out of which `stays` says no.
    pub(super) fn retain(&mut self, stays: impl Fn(&T::Key) -> bool) {
        // From the end: what comes into a place was looked at before.
        for place in (0..self.places.len() as u32).rev() {
            let key = row(&self.pages, place).key();
            if !stays(&key) {
                self.remove(&key);
            }
        }
    }

    /// Bytes held, free places included; not what hangs off a row.
    pub(super) fn bytes(&self) -> usize {
        self.places.allocation_size() + self.pages.len() * Self::PAGE_ROWS * size_of::<T>() + self.pages.capacity() * size_of::<Vec<T>>()
    }
}

fn row<T: Row>(pages: &[Vec<T>], place: u32) -> &T {
    &pages[place as usize / Dense::<T>::PAGE_ROWS][place as usize % Dense::<T>::PAGE_ROWS]
}

fn row_mut<T: Row>(pages: &mut [Vec<T>], place: u32) -> &mut T {
    &mut pages[place as usize / Dense::<T>::PAGE_ROWS][place as usize % Dense::<T>::PAGE_ROWS]
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Pair(u64, u64);

    impl Row for Pair {
        type Key = u64;

        fn key(&self) -> u64 {
            self.0
        }

        fn hash(key: &u64) -> u64 {
            key.wrapping_mul(0x9E37_79B9_7F4A_7C15)
        }
    }

    proptest! {
        /// As the standard library's map, after every step; several pages are filled and emptied.
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((0..4_u8, 0..600_u64, any::<u64>()), 0..2_000)) {
            let (mut dense, mut map) = (Dense::default(), HashMap::new());
            for (step, key, value) in steps {
                match step {
                    0 => prop_assert_eq!(dense.remove(&key), map.remove(&key).map(|value| Pair(key, value))),
                    _ => match dense.get_mut(&key) {
                        Some(pair) => {
                            pair.1 = value;
                            prop_assert!(map.insert(key, value).is_some());
                        }
                        None => {
                            dense.insert(Pair(key, value));
                            prop_assert!(map.insert(key, value).is_none());
                        }
                    },
                }
                prop_assert_eq!(dense.len(), map.len());
            }
            let odd = |key: &u64| key % 2 == 1;
            dense.retain(odd);
            map.retain(|key, _| odd(key));
            prop_assert_eq!(dense.len(), map.len());
            for key in 0..600 {
                prop_assert_eq!(dense.get(&key).map(|pair| pair.1), map.get(&key).copied());
            }
            dense.retain(|_| false);
            prop_assert_eq!((dense.len(), dense.pages.len()), (0, 0));
        }
    }

    #[test]
    fn little_is_free() {
        let mut dense = Dense::default();
        (0..100_000).for_each(|key| dense.insert(Pair(key, key)));
        let each = dense.bytes() as f64 / 100_000.0;
        assert!(each < 16.0 + 7.5, "{each} bytes for a row of 16");
    }
}
