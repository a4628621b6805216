//! Objects that were read or written a moment ago. What an id names never changes, so nothing here can be out of date.
//!
//! A record is checked right after it is written, and the next one is built on it: both ask for the same few objects.

use std::{cell::RefCell, collections::VecDeque};

use gix::objs::Kind;

use crate::model::ids::Oid;

/// How many objects are kept, and of how many bytes each at most: 4 MiB together.
const OBJECTS_MAX: usize = 64;
const BYTES_MAX: usize = 64 << 10;

/// The objects, latest last. All have the content that their ids name.
#[derive(Default)]
pub(super) struct ObjectCache(RefCell<VecDeque<(Oid, Kind, Vec<u8>)>>);

impl ObjectCache {
    /// Takes an object in; the caller has hashed it.
    pub(super) fn put(&self, id: Oid, kind: Kind, data: &[u8]) {
        let mut objects = self.0.borrow_mut();
        if data.len() > BYTES_MAX || objects.iter().any(|(known, ..)| *known == id) {
            return;
        }
        if objects.len() == OBJECTS_MAX {
            objects.pop_front();
        }
        objects.push_back((id, kind, data.to_vec()));
    }

    /// An object of a kind.
    pub(super) fn get(&self, id: Oid, kind: Kind) -> Option<Vec<u8>> {
        self.look(id, |of, data| (of == kind).then(|| data.to_vec())).flatten()
    }

    /// Looks at an object without a copy of it.
    pub(super) fn look<T>(&self, id: Oid, seen: impl FnOnce(Kind, &[u8]) -> T) -> Option<T> {
        let objects = self.0.borrow();
        // The latest are asked for most.
        objects.iter().rev().find(|(known, ..)| *known == id).map(|(_, kind, data)| seen(*kind, data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_cache_keeps_recent_small_objects() {
        let id = |n: usize| Oid::from_bytes([u8::try_from(n).unwrap(); 20]);
        let known = ObjectCache::default();
        for n in 0..=OBJECTS_MAX {
            known.put(id(n), Kind::Blob, &[u8::try_from(n).unwrap()]);
        }
        assert_eq!(known.get(id(0), Kind::Blob), None);
        assert_eq!(known.get(id(1), Kind::Blob), Some(vec![1]));
        assert_eq!(known.get(id(1), Kind::Tree), None);
        known.put(id(200), Kind::Blob, &vec![0; BYTES_MAX + 1]);
        assert_eq!(known.get(id(200), Kind::Blob), None);
    }
}
