//! Buffers that outlive what they hold.
//!
//! A searcher owns its index and its buffers, and the buffers hold posting lists, which borrow
//! from the index. So lists live in the buffers during one query only: afterwards a buffer is
//! emptied, and its memory waits for the next query under another lifetime.

/// The same allocation for values of another lifetime.
///
/// Nothing is copied: collecting a vector's own iterator into values of the same size reuses
/// its memory.
pub(super) fn emptied<A, B>(mut buffer: Vec<A>) -> Vec<B> {
    buffer.clear();
    buffer.into_iter().map(|_| unreachable!("the buffer is empty")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emptied_buffer_keeps_its_memory() {
        let mut words: Vec<&str> = Vec::with_capacity(100);
        let word = String::from("whale");
        words.push(&word);
        let (at, capacity) = (words.as_ptr() as usize, words.capacity());
        let again: Vec<&'static str> = emptied(words);
        assert_eq!((again.len(), again.as_ptr() as usize, again.capacity()), (0, at, capacity));
    }
}
