//! What a blend draws at random: which conversation, how many bytes. Knows no message.
use anyhow::{Context, ensure};
use fastrand::Rng;
use std::str::FromStr;

/// Draws a rank with a chance that falls with it: the k-th is drawn in proportion to `1 / k^exponent`.
#[derive(Debug)]
pub(super) struct Zipf {
    /// Chances summed up to each rank.
    up_to: Vec<f64>,
}

impl Zipf {
    pub(super) fn new(ranks: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let chance = |rank: usize| {
            sum += (rank as f64).powf(-exponent);
            sum
        };
        Self { up_to: (1..=ranks).map(chance).collect() }
    }

    /// A rank, from 0.
    pub(super) fn draw(&self, rng: &mut Rng) -> usize {
        let Some(all) = self.up_to.last() else { return 0 };
        let at = rng.f64() * all;
        self.up_to.partition_point(|&up_to| up_to <= at).min(self.up_to.len() - 1)
    }
}

/// Sizes with weights, as `64:70,256:20`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sizes(pub(super) Vec<(u32, u32)>);

/// Sizes told apart.
const SIZES_MAX: usize = 16;
/// Bytes of the largest.
const SIZE_MAX: u32 = 1 << 20;

impl FromStr for Sizes {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let one = |part: &str| {
            let (size, weight) = part.split_once(':').unwrap_or((part, "1"));
            let (size, weight): (u32, u32) = (size.trim().parse()?, weight.trim().parse()?);
            let least = crate::wire::marker::SIZE;
            ensure!(
                size as usize >= least && size <= SIZE_MAX,
                "a size is {least} bytes at least and {SIZE_MAX} at most"
            );
            ensure!((1..=1_000_000).contains(&weight), "a weight is 1 at least and a million at most");
            Ok((size, weight))
        };
        let sizes: Vec<_> =
            text.split(',').map(one).collect::<anyhow::Result<_>>().context("sizes are BYTES:WEIGHT,…")?;
        ensure!(sizes.len() <= SIZES_MAX, "{SIZES_MAX} sizes at most");
        Ok(Self(sizes))
    }
}

impl Sizes {
    /// One of them, by its place.
    pub(super) fn draw(&self, rng: &mut Rng) -> usize {
        let mut at = rng.u32(0..self.0.iter().map(|(_, weight)| weight).sum());
        let found = self.0.iter().position(|(_, weight)| {
            let here = at < *weight;
            at = at.saturating_sub(*weight);
            here
        });
        found.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_drawn_by_zipfs_law() {
        let (zipf, mut rng) = (Zipf::new(1000, 1.0), Rng::with_seed(7));
        let mut counts = vec![0_u32; 1000];
        (0..200_000).for_each(|_| counts[zipf.draw(&mut rng)] += 1);
        let harmonic: f64 = (1..=1000).map(|k| 1.0 / f64::from(k)).sum();
        for rank in [1, 2, 10, 100] {
            let expected = 200_000.0 / harmonic / f64::from(rank);
            let found = f64::from(counts[rank as usize - 1]);
            assert!(
                (found - expected).abs() < 5.0 * expected.sqrt() + 1.0,
                "rank {rank}: {found} of {expected}"
            );
        }
        assert!(counts.iter().all(|&count| count > 0 && count < 40_000));
    }

    #[test]
    fn sizes_are_drawn_by_weight() {
        let (sizes, mut rng): (Sizes, _) = ("64:3, 4096:1".parse().unwrap(), Rng::with_seed(7));
        let large = (0..40_000).filter(|_| sizes.draw(&mut rng) == 1).count();
        assert!((9_500..10_500).contains(&large), "{large} of 40000");
        for wrong in ["", "8:1", "64:0", "64:x", "2000000:1"] {
            assert!(wrong.parse::<Sizes>().is_err(), "{wrong}");
        }
    }
}
