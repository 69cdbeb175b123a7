//! The error function as a ratio of polynomials in x², x · ABOVE(x²) / BELOW(x²), within
//! 4e-8 of the exact value in exact arithmetic. Coefficients of XLA's and Eigen's
//! single-precision erf, highest power first.
#![expect(clippy::excessive_precision, reason = "as published")]

/// Beyond ± this, erf rounds to ±1.
pub(super) const END: f32 = 3.832_506_856_900_711;
pub(super) const ABOVE: [f32; 5] = [
    0.000_229_050_658_613_506_46,
    0.003_408_291_010_710_950_6,
    0.050_955_695_062_380_86,
    0.185_208_322_399_761_45,
    1.128_379_143_519_084,
];
pub(super) const BELOW: [f32; 7] = [
    -1.179_160_295_436_169_7e-7,
    0.000_023_547_966_471_313_185,
    0.001_017_962_527_891_488_5,
    0.014_070_470_171_167_667,
    0.110_985_051_782_853_62,
    0.497_469_251_100_675_38,
    1.0,
];
