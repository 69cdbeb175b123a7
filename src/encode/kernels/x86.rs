//! AVX2 with FMA, and AVX-512 with VNNI.

use std::arch::x86_64::*;

use super::Work;
use super::lanes::Lanes;
use crate::simd::has_all;

/// AVX2 and FMA are there. Made by [`Avx2::new`] only.
#[derive(Debug, Clone, Copy)]
pub(in crate::encode) struct Avx2(());

/// AVX-512 F, BW, VL, DQ and VNNI are there (Cascade Lake, Zen 4 and later). Made by
/// [`Avx512::new`] only.
#[derive(Debug, Clone, Copy)]
pub(in crate::encode) struct Avx512(());

impl Avx2 {
    /// The token, if this processor has the instructions.
    #[inline]
    pub fn new() -> Option<Self> {
        has_all!("avx2", "fma").then_some(Avx2(()))
    }

    /// Runs `work`, and all that is inlined into it, as AVX2 code.
    #[inline]
    pub(super) fn run<W: Work>(self, work: W) -> W::Out {
        #[target_feature(enable = "avx2,fma")]
        fn inner<W: Work>(token: Avx2, work: W) -> W::Out {
            work.run(token)
        }
        // SAFETY: the token says that the processor has them.
        unsafe { inner(self, work) }
    }
}

impl Avx512 {
    /// The token, if this processor has the instructions.
    #[inline]
    pub fn new() -> Option<Self> {
        let has = has_all!("avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512vnni", "fma");
        has.then_some(Avx512(()))
    }

    /// Runs `work`, and all that is inlined into it, as AVX-512 code.
    #[inline]
    pub(super) fn run<W: Work>(self, work: W) -> W::Out {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma")]
        fn inner<W: Work>(token: Avx512, work: W) -> W::Out {
            work.run(token)
        }
        // SAFETY: the token says that the processor has them.
        unsafe { inner(self, work) }
    }
}

/// Methods that are one intrinsic on registers.
macro_rules! register {
    ($($name:ident($($a:ident: $t:ty),*) -> $r:ty = $intrinsic:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($a: $t),*) -> $r {
            // SAFETY: the token says that the processor has the instruction, and it works
            // on registers only.
            unsafe { $intrinsic }
        }
    )*};
}

impl Lanes for Avx2 {
    type V = __m256;
    type I = __m256i;
    const N: usize = 8;
    // 12 sums, two of the panel and one of the state in 16 registers.
    const ROWS: usize = 6;
    // The multiplication adds two products in a signed 16-bit lane: 2 · 255 · 64 < 2^15.
    const STATE_CODES: i32 = 64;

    register! {
        splat(x: f32) -> __m256 = _mm256_set1_ps(x);
        add(a: __m256, b: __m256) -> __m256 = _mm256_add_ps(a, b);
        sub(a: __m256, b: __m256) -> __m256 = _mm256_sub_ps(a, b);
        mul(a: __m256, b: __m256) -> __m256 = _mm256_mul_ps(a, b);
        div(a: __m256, b: __m256) -> __m256 = _mm256_div_ps(a, b);
        fma(a: __m256, b: __m256, c: __m256) -> __m256 = _mm256_fmadd_ps(a, b, c);
        fma1(a: f32, b: f32, c: f32) -> f32 = _mm_cvtss_f32(
            _mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)));
        max(a: __m256, b: __m256) -> __m256 = _mm256_max_ps(a, b);
        min(a: __m256, b: __m256) -> __m256 = _mm256_min_ps(a, b);
        pow2(n: __m256) -> __m256 = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(
            _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127))));
        positive(v: __m256) -> u32 = _mm256_movemask_ps(
            _mm256_cmp_ps::<_CMP_NLE_UQ>(v, _mm256_setzero_ps())) as u32;
        splat_i(x: i32) -> __m256i = _mm256_set1_epi32(x);
        dot4(sum: __m256i, codes: __m256i, states: i32) -> __m256i = {
            let pairs = _mm256_maddubs_epi16(codes, _mm256_set1_epi32(states));
            _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        };
        max_i(a: __m256i, b: __m256i) -> __m256i = _mm256_max_epi32(a, b);
        to_float(a: __m256i) -> __m256 = _mm256_cvtepi32_ps(a);
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> __m256 {
        let from: &[f32; 8] = from.first_chunk().expect("N floats");
        // SAFETY: eight floats are 32 bytes, at any alignment.
        unsafe { _mm256_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, v: __m256, to: &mut [f32]) {
        let to: &mut [f32; 8] = to.first_chunk_mut().expect("N floats");
        // SAFETY: eight floats are 32 bytes, at any alignment.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), v) }
    }

    #[inline(always)]
    fn sum(self, v: __m256) -> f32 {
        let mut lanes = [0.0; 8];
        self.store(v, &mut lanes);
        let [a, b, c, d, e, f, g, h] = lanes;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }

    #[inline(always)]
    fn load_bytes(self, from: &[u8]) -> __m256i {
        let from: &[u8; 32] = from.first_chunk().expect("4 N bytes");
        // SAFETY: 32 bytes, at any alignment.
        unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
    }
}

impl Lanes for Avx512 {
    type V = __m512;
    type I = __m512i;
    const N: usize = 16;
    // 28 sums and two of the panel in 32 registers; states are broadcast from memory.
    const ROWS: usize = 14;
    const STATE_CODES: i32 = 127;

    register! {
        splat(x: f32) -> __m512 = _mm512_set1_ps(x);
        add(a: __m512, b: __m512) -> __m512 = _mm512_add_ps(a, b);
        sub(a: __m512, b: __m512) -> __m512 = _mm512_sub_ps(a, b);
        mul(a: __m512, b: __m512) -> __m512 = _mm512_mul_ps(a, b);
        div(a: __m512, b: __m512) -> __m512 = _mm512_div_ps(a, b);
        fma(a: __m512, b: __m512, c: __m512) -> __m512 = _mm512_fmadd_ps(a, b, c);
        fma1(a: f32, b: f32, c: f32) -> f32 = _mm_cvtss_f32(
            _mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)));
        max(a: __m512, b: __m512) -> __m512 = _mm512_max_ps(a, b);
        min(a: __m512, b: __m512) -> __m512 = _mm512_min_ps(a, b);
        pow2(n: __m512) -> __m512 = _mm512_scalef_ps(_mm512_set1_ps(1.0), n);
        positive(v: __m512) -> u32 =
            u32::from(_mm512_cmp_ps_mask::<_CMP_NLE_UQ>(v, _mm512_setzero_ps()));
        sum(v: __m512) -> f32 = _mm512_reduce_add_ps(v);
        splat_i(x: i32) -> __m512i = _mm512_set1_epi32(x);
        dot4(sum: __m512i, codes: __m512i, states: i32) -> __m512i =
            _mm512_dpbusd_epi32(sum, codes, _mm512_set1_epi32(states));
        max_i(a: __m512i, b: __m512i) -> __m512i = _mm512_max_epi32(a, b);
        to_float(a: __m512i) -> __m512 = _mm512_cvtepi32_ps(a);
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> __m512 {
        let from: &[f32; 16] = from.first_chunk().expect("N floats");
        // SAFETY: 16 floats are 64 bytes, at any alignment.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, v: __m512, to: &mut [f32]) {
        let to: &mut [f32; 16] = to.first_chunk_mut().expect("N floats");
        // SAFETY: 16 floats are 64 bytes, at any alignment.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), v) }
    }

    #[inline(always)]
    fn load_bytes(self, from: &[u8]) -> __m512i {
        let from: &[u8; 64] = from.first_chunk().expect("4 N bytes");
        // SAFETY: 64 bytes, at any alignment.
        unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
    }
}
