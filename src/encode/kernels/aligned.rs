//! Arrays that start at a cache line: a vector load that straddles two lines counts twice,
//! which took a third off the rate of products.

const LINE: usize = 64;

/// A fixed array whose first element lies at a cache line.
pub(super) struct Aligned<T> {
    /// Some elements more, so that there is a line to start at.
    values: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy> Aligned<T> {
    /// `len` copies of `value`.
    pub fn new(len: usize, value: T) -> Self {
        let values = vec![value; len + LINE / size_of::<T>()];
        // The heap block stays where it is: nothing is pushed.
        let start = values.as_ptr().align_offset(LINE).min(LINE / size_of::<T>());
        Aligned { values, start, len }
    }
}

impl<T> std::ops::Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values[self.start..self.start + self.len]
    }
}

impl<T> std::ops::DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[self.start..self.start + self.len]
    }
}
