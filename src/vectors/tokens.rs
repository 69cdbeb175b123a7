//! Token strings and their term ids.

use std::collections::HashMap;

/// Interned token strings; term ids are dense and in order of first appearance.
#[derive(Debug, Clone, Default)]
pub struct TokenTable {
    by_token: HashMap<Box<str>, u32>,
    tokens: Vec<Box<str>>,
}

impl TokenTable {
    /// A table holding `tokens` with ids 0, 1, 2, … A repeated token keeps its first id
    /// for look-ups and still takes one of its own, so that ids stay positions.
    pub fn from_tokens<S: Into<Box<str>>>(tokens: impl IntoIterator<Item = S>) -> Self {
        let mut table = TokenTable::default();
        for token in tokens {
            let token = token.into();
            let id = table.tokens.len() as u32;
            table.by_token.entry(token.clone()).or_insert(id);
            table.tokens.push(token);
        }
        table
    }

    /// The id of `token`, added if it is new.
    pub fn intern(&mut self, token: &str) -> u32 {
        if let Some(&id) = self.by_token.get(token) {
            return id;
        }
        let id = self.tokens.len() as u32;
        self.by_token.insert(token.into(), id);
        self.tokens.push(token.into());
        id
    }

    /// The id of `token`, if it is known.
    pub fn get(&self, token: &str) -> Option<u32> {
        self.by_token.get(token).copied()
    }

    /// The string of term id `id`.
    ///
    /// # Panics
    /// If `id` was not handed out by this table.
    pub fn token(&self, id: u32) -> &str {
        &self.tokens[id as usize]
    }

    /// Whether no token has two ids.
    pub fn is_unique(&self) -> bool {
        self.by_token.len() == self.tokens.len()
    }

    /// Number of ids handed out.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether no id was handed out.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_dense_and_stable() {
        let mut table = TokenTable::default();
        assert_eq!([table.intern("b"), table.intern("a"), table.intern("b")], [0, 1, 0]);
        assert_eq!(
            (table.token(1), table.get("b"), table.get("c"), table.len()),
            ("a", Some(0), None, 2)
        );
    }
}
