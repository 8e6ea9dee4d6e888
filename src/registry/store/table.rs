//! Rows of the state in the order in which they came, found by their keys. A table knows which rows have
//! changed since it was last settled, so that they can be kept elsewhere, or be put back as they were.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::registry::unix_time::UnixTime;

/// Something that a table holds.
pub(in crate::registry) trait Row:
    Clone + Serialize + DeserializeOwned
{
    /// Returns the key, which never changes.
    fn key(&self) -> &str;

    /// Returns a time that grows from row to row as they come.
    #[cfg_attr(
        not(any(feature = "redis", test)),
        expect(dead_code, reason = "files keep the order, stores don't")
    )]
    fn time(&self) -> UnixTime;
}

/// The place of a row among the others, and the row.
type Placed<T> = (u64, Arc<T>);

/// See the module's description.
#[derive(Clone)]
pub(in crate::registry) struct Table<T> {
    rows: BTreeMap<u64, Arc<T>>,
    places: HashMap<String, u64>,
    next_place: u64,
    /// The rows that have changed, as they were before; `None` for new ones.
    before: HashMap<String, Option<Placed<T>>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table {
            rows: BTreeMap::new(),
            places: HashMap::new(),
            next_place: 0,
            before: HashMap::new(),
        }
    }
}

impl<T: Row> Table<T> {
    /// Returns the number of rows.
    pub(in crate::registry) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns the row of this key.
    pub(in crate::registry) fn get(&self, key: &str) -> Option<&T> {
        self.rows.get(self.places.get(key)?).map(|row| &**row)
    }

    /// Returns all rows, the oldest first.
    pub(in crate::registry) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.rows.values().map(|row| &**row)
    }

    /// Adds a row, or puts it in the place of the one with its key.
    pub(in crate::registry) fn put(&mut self, row: T) {
        self.note(row.key());
        self.set(row);
    }

    /// Changes the row of this key. Returns it as it is then.
    pub(in crate::registry) fn update(
        &mut self,
        key: &str,
        change: impl FnOnce(&mut T),
    ) -> Option<&T> {
        let place = *self.places.get(key)?;
        self.note(key);
        let row = self.rows.get_mut(&place)?;
        change(Arc::make_mut(row));
        Some(row)
    }

    /// Changes all rows that `is_meant`.
    pub(in crate::registry) fn update_all(
        &mut self,
        is_meant: impl Fn(&T) -> bool,
        mut change: impl FnMut(&mut T),
    ) {
        for key in self.keys(is_meant) {
            self.update(&key, &mut change);
        }
    }

    /// Removes the row of this key. Returns whether there was one.
    pub(in crate::registry) fn remove(&mut self, key: &str) -> bool {
        let is_there = self.places.contains_key(key);
        if is_there {
            self.note(key);
            self.unset(key);
        }
        is_there
    }

    /// Removes all rows that `is_meant`.
    pub(in crate::registry) fn remove_all(&mut self, is_meant: impl Fn(&T) -> bool) {
        for key in self.keys(is_meant) {
            self.remove(&key);
        }
    }

    fn keys(&self, is_meant: impl Fn(&T) -> bool) -> Vec<String> {
        let meant = self.iter().filter(|row| is_meant(row));
        meant.map(|row| row.key().to_owned()).collect()
    }

    /// Notes a row as it is before its first change.
    fn note(&mut self, key: &str) {
        if !self.before.contains_key(key) {
            let place = self.places.get(key);
            let row = place.and_then(|place| Some((*place, Arc::clone(self.rows.get(place)?))));
            self.before.insert(key.to_owned(), row);
        }
    }

    fn set(&mut self, row: T) {
        let place = self.places.get(row.key()).copied().unwrap_or_else(|| {
            let place = self.next_place;
            self.next_place += 1;
            self.places.insert(row.key().to_owned(), place);
            place
        });
        self.rows.insert(place, Arc::new(row));
    }

    fn unset(&mut self, key: &str) {
        if let Some(place) = self.places.remove(key) {
            self.rows.remove(&place);
        }
    }
}

/// A table as one sees it who keeps its rows elsewhere, as texts.
pub(in crate::registry) trait Texts {
    /// Takes the changes for good.
    fn settle(&mut self);
    /// Returns the keys of rows that have changed since the table was settled, each with its row as JSON; `None` when
    /// it was removed. They are in the order of the rows, so that others add new ones in the same order.
    #[cfg(any(feature = "redis", test))]
    fn changes(&self) -> Vec<(String, Option<String>)>;
    /// Puts all rows back as they were when the table was last settled.
    fn undo(&mut self);
    /// Takes over a row that was changed elsewhere, as JSON; `None` removes it. Fails when it is no such row.
    #[cfg(any(feature = "redis", test))]
    fn take_over(&mut self, key: &str, text: Option<&str>) -> serde_json::Result<()>;
    /// Puts rows that were taken over in any order in that of their times.
    #[cfg(any(feature = "redis", test))]
    fn put_in_order(&mut self);
    /// Forgets all rows.
    #[cfg(feature = "redis")]
    fn clear(&mut self);
}

impl<T: Row> Texts for Table<T> {
    #[cfg(any(feature = "redis", test))]
    fn changes(&self) -> Vec<(String, Option<String>)> {
        let changed = self.before.iter().map(|(key, before)| {
            // Rows have string keys alone, so each can be written.
            let text = self
                .get(key)
                .and_then(|row| serde_json::to_string(row).ok());
            let before = before.as_ref().map(|(place, _)| place);
            let place = self.places.get(key).or(before);
            (place.copied(), (key.clone(), text))
        });
        by_place(changed.collect())
    }

    fn settle(&mut self) {
        self.before.clear();
    }

    fn undo(&mut self) {
        for (key, row) in std::mem::take(&mut self.before) {
            self.unset(&key);
            if let Some((place, row)) = row {
                self.rows.insert(place, row);
                self.places.insert(key, place);
            }
        }
    }

    #[cfg(any(feature = "redis", test))]
    fn take_over(&mut self, key: &str, text: Option<&str>) -> serde_json::Result<()> {
        match text {
            None => self.unset(key),
            Some(text) => {
                let row: T = serde_json::from_str(text)?;
                if row.key() == key {
                    self.set(row);
                }
            }
        }
        Ok(())
    }

    #[cfg(any(feature = "redis", test))]
    fn put_in_order(&mut self) {
        let times = self.rows.iter().map(|(place, row)| Timed {
            time: row.time(),
            key: row.key().to_owned(),
            place: *place,
        });
        let in_order = sorted(times.collect());
        let mut rows = std::mem::take(&mut self.rows);
        self.next_place = 0;
        for Timed { key, place, .. } in in_order {
            if let Some(row) = rows.remove(&place) {
                self.rows.insert(self.next_place, row);
                self.places.insert(key, self.next_place);
                self.next_place += 1;
            }
        }
    }

    #[cfg(feature = "redis")]
    fn clear(&mut self) {
        *self = Table::default();
    }
}

/// Time, key and place of a row.
#[cfg(any(feature = "redis", test))]
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Timed {
    time: UnixTime,
    key: String,
    place: u64,
}

/// Sorts the rows of any table: code for sorting is large, and would be there for each kind of row.
#[cfg(any(feature = "redis", test))]
fn sorted(mut rows: Vec<Timed>) -> Vec<Timed> {
    rows.sort_unstable();
    rows
}

/// The key and the text of a row that has changed; `None` when it was removed.
#[cfg(any(feature = "redis", test))]
type ChangedText = (String, Option<String>);

/// Puts changes of any table in the order of their rows' places.
#[cfg(any(feature = "redis", test))]
fn by_place(mut changes: Vec<(Option<u64>, ChangedText)>) -> Vec<ChangedText> {
    changes.sort_unstable();
    changes.into_iter().map(|(_, change)| change).collect()
}

/// A list of its rows.
impl<T: Row> Serialize for Table<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de, T: Row> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut table = Table::default();
        for row in Vec::<T>::deserialize(deserializer)? {
            table.set(row);
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Number {
        name: String,
        value: u32,
    }

    impl Row for Number {
        fn key(&self) -> &str {
            &self.name
        }

        fn time(&self) -> UnixTime {
            UnixTime::default() + Duration::from_secs(self.value.into())
        }
    }

    fn number(name: &str, value: u32) -> Number {
        Number {
            name: name.to_owned(),
            value,
        }
    }

    fn filled() -> Table<Number> {
        let mut table = Table::default();
        for (name, value) in [("b", 1), ("a", 2), ("c", 3)] {
            table.put(number(name, value));
        }
        table.settle();
        table
    }

    fn shown(table: &Table<Number>) -> Vec<(&str, u32)> {
        let rows = table.iter();
        rows.map(|row| (row.name.as_str(), row.value)).collect()
    }

    #[test]
    fn rows_keep_the_order_in_which_they_came() {
        let mut table = filled();
        table.put(number("a", 7));
        assert_eq!(shown(&table), [("b", 1), ("a", 7), ("c", 3)]);
        assert!(table.remove("b") && !table.remove("b"));
        table.put(number("b", 9));
        assert_eq!(shown(&table), [("a", 7), ("c", 3), ("b", 9)]);
        let text = serde_json::to_string(&table).unwrap();
        let read: Table<Number> = serde_json::from_str(&text).unwrap();
        assert_eq!(shown(&read), shown(&table));
        assert!(read.changes().is_empty());
    }

    #[test]
    fn what_was_changed_is_undone_or_told() {
        let mut table = filled();
        table.update("c", |row| row.value = 4);
        table.update("c", |row| row.value = 5);
        table.remove("a");
        table.put(number("d", 6));
        table.update_all(|row| row.value == 1, |row| row.value = 8);
        let changes = table.changes();
        let expected = [
            ("b", Some(r#"{"name":"b","value":8}"#)),
            ("a", None),
            ("c", Some(r#"{"name":"c","value":5}"#)),
            ("d", Some(r#"{"name":"d","value":6}"#)),
        ];
        let expected = expected.map(|(key, text)| (key.to_owned(), text.map(str::to_owned)));
        assert_eq!(changes, expected);
        table.undo();
        assert_eq!(shown(&table), shown(&filled()));
        assert!(table.changes().is_empty());
        for (key, text) in &changes {
            table.take_over(key, text.as_deref()).unwrap();
        }
        assert!(table.changes().is_empty());
        assert_eq!(shown(&table), [("b", 8), ("c", 5), ("d", 6)]);
        assert!(table.take_over("x", Some("7")).is_err());
        table.put_in_order();
        assert_eq!(shown(&table), [("c", 5), ("d", 6), ("b", 8)]);
    }
}
