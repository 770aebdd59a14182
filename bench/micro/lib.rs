//! Nothing: the benchmarks in `benches/` are this package.
