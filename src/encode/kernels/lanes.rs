//! Vectors of floats as the kernels see them, and the plain form.
//!
//! A kernel is written once, over a type that implements [`Lanes`]; inlined into a function
//! with the right target features it becomes that instruction set's code. The types are
//! tokens: a value exists only where the processor has the instructions, so their methods
//! are safe to call.

/// One instruction set. Sums of a kernel depend on `N` and on whether `fma` rounds once, so
/// bits are equal only within a level.
pub(super) trait Lanes: Copy {
    /// `N` floats.
    type V: Copy;
    /// `N` 32-bit integers.
    type I: Copy;
    /// Lanes of a vector.
    const N: usize;
    /// Columns of a panel, two vectors: what a tile of products is wide.
    const COLUMNS: usize = 2 * Self::N;
    /// Most rows of a tile: as many as leave all its sums in registers.
    const ROWS: usize;
    /// Largest code of a state in the screen: `dot4` must not overflow.
    const STATE_CODES: i32;

    fn splat(self, x: f32) -> Self::V;
    /// The first `N` of `from`.
    fn load(self, from: &[f32]) -> Self::V;
    /// Into the first `N` of `to`.
    fn store(self, v: Self::V, to: &mut [f32]);
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// a · b + c
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// a · b + c of one lane, rounded as `fma` rounds.
    fn fma1(self, a: f32, b: f32, c: f32) -> f32;
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// 2^n for whole numbers n from −126 to 127.
    fn pow2(self, n: Self::V) -> Self::V;
    /// Bit i is set where lane i is above 0 or not a number.
    fn positive(self, v: Self::V) -> u32;
    /// The sum of all lanes, in a fixed order.
    fn sum(self, v: Self::V) -> f32;

    fn splat_i(self, x: i32) -> Self::I;
    /// The first 4 · `N` bytes of `from`.
    fn load_bytes(self, from: &[u8]) -> Self::I;
    /// In every lane: sum + Σ of four products, the lane's unsigned bytes of `codes` with the
    /// signed bytes of `states`, which are at most `STATE_CODES`. Exact.
    fn dot4(self, sum: Self::I, codes: Self::I, states: i32) -> Self::I;
    fn max_i(self, a: Self::I, b: Self::I) -> Self::I;
    /// Each integer as the nearest float.
    fn to_float(self, a: Self::I) -> Self::V;
}

/// Plain Rust: the definition of every kernel, and what runs where nothing better is known.
/// Compilers keep its arrays in whatever vectors they know (SSE2, NEON).
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain;

const PLAIN: usize = 8;

macro_rules! lanewise {
    ($name:ident, $a:ident $b:ident, $result:expr) => {
        #[inline(always)]
        fn $name(self, mut $a: Self::V, b: Self::V) -> Self::V {
            for ($a, $b) in $a.iter_mut().zip(b) {
                *$a = $result;
            }
            $a
        }
    };
}

impl Lanes for Plain {
    type V = [f32; PLAIN];
    type I = [i32; PLAIN];
    const N: usize = PLAIN;
    // Four vectors of SSE2 or NEON a row.
    const ROWS: usize = if cfg!(target_arch = "aarch64") { 6 } else { 3 };
    const STATE_CODES: i32 = 127;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [x; PLAIN]
    }
    #[inline(always)]
    fn load(self, from: &[f32]) -> Self::V {
        *from.first_chunk().expect("N floats")
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut [f32]) {
        *to.first_chunk_mut().expect("N floats") = v;
    }
    lanewise!(add, a b, *a + b);
    lanewise!(sub, a b, *a - b);
    lanewise!(mul, a b, *a * b);
    lanewise!(div, a b, *a / b);
    lanewise!(max, a b, if b > *a { b } else { *a });
    lanewise!(min, a b, if b < *a { b } else { *a });
    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, mut c: Self::V) -> Self::V {
        for ((c, a), b) in c.iter_mut().zip(a).zip(b) {
            *c = self.fma1(a, b, *c);
        }
        c
    }
    #[inline(always)]
    fn fma1(self, a: f32, b: f32, c: f32) -> f32 {
        // Without the instruction `mul_add` is a call of some 20 ns.
        if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
            a.mul_add(b, c)
        } else {
            a * b + c
        }
    }
    #[inline(always)]
    fn pow2(self, mut n: Self::V) -> Self::V {
        for n in &mut n {
            *n = f32::from_bits(((*n as i32 + 127) << 23) as u32);
        }
        n
    }
    #[inline(always)]
    fn positive(self, v: Self::V) -> u32 {
        v.iter().enumerate().fold(0, |mask, (i, &x)| mask | u32::from(x > 0.0 || x.is_nan()) << i)
    }
    #[inline(always)]
    fn sum(self, v: Self::V) -> f32 {
        v.iter().sum()
    }
    #[inline(always)]
    fn splat_i(self, x: i32) -> Self::I {
        [x; PLAIN]
    }
    #[inline(always)]
    fn load_bytes(self, from: &[u8]) -> Self::I {
        let mut lanes = [0; PLAIN];
        for (lane, bytes) in lanes.iter_mut().zip(from[..4 * PLAIN].as_chunks::<4>().0) {
            *lane = i32::from_le_bytes(*bytes);
        }
        lanes
    }
    #[inline(always)]
    fn dot4(self, mut sum: Self::I, codes: Self::I, states: i32) -> Self::I {
        let states = states.to_le_bytes().map(|b| i32::from(b as i8));
        for (sum, codes) in sum.iter_mut().zip(codes) {
            for (code, state) in codes.to_le_bytes().into_iter().zip(states) {
                *sum += i32::from(code) * state;
            }
        }
        sum
    }
    #[inline(always)]
    fn max_i(self, mut a: Self::I, b: Self::I) -> Self::I {
        for (a, b) in a.iter_mut().zip(b) {
            *a = (*a).max(b);
        }
        a
    }
    #[inline(always)]
    fn to_float(self, a: Self::I) -> Self::V {
        a.map(|x| x as f32)
    }
}
