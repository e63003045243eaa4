//! A bounded map that forgets what was longest unused: two halves, of which the younger replaces the
//! older when it is full. Everything costs the same however much is remembered.

use std::collections::HashMap;

/// Values by domain, at most so many.
#[derive(Debug)]
pub struct Recent<V> {
    young: HashMap<String, V>,
    old: HashMap<String, V>,
    half: usize,
}

impl<V> Recent<V> {
    /// An empty map for at most `entries_max` values.
    #[must_use]
    pub fn new(entries_max: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            half: (entries_max / 2).max(1),
        }
    }

    /// The value of `key`, which counts as used.
    pub fn look(&mut self, key: &str) -> Option<&mut V> {
        if let Some((key, value)) = self.old.remove_entry(key) {
            self.put(key, value);
        }
        self.young.get_mut(key)
    }

    /// Gives `key` a value.
    pub fn put(&mut self, key: String, value: V) {
        self.old.remove(&key);
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    /// Takes the value of `key` out.
    pub fn remove(&mut self, key: &str) -> Option<V> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_bounded_and_what_is_used_stays() {
        let mut recent = Recent::new(10);
        recent.put("kept".into(), 0);
        for number in 1..100 {
            recent.put(number.to_string(), number);
            assert_eq!(recent.look("kept"), Some(&mut 0));
            assert!(recent.len() <= 10);
        }
        assert_eq!(recent.look("1"), None);
        assert_eq!(recent.look("99"), Some(&mut 99));
        assert_eq!(recent.remove("99"), Some(99));
        assert_eq!(recent.look("99"), None);
        assert!(!recent.is_empty());
    }
}
