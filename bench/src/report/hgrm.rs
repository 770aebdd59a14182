//! The percentile file (`.hgrm`) that HdrHistogram's plotters read, in milliseconds. Knows no run.
use super::data::{Centre, CurvePoint};
use std::fmt::Write;

/// The file's text.
pub(super) fn text(curve: &[CurvePoint], centre: Option<Centre>) -> String {
    let mut text =
        format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    // Writing to a string cannot fail.
    for point in curve {
        let (ms, quantile, count) = (point.us / 1e3, point.quantile, point.count);
        let _ = match 1.0 / (1.0 - quantile) {
            odds if odds.is_finite() => writeln!(text, "{ms:12.6} {quantile:14.12} {count:10} {odds:14.2}"),
            _ => writeln!(text, "{ms:12.6} {quantile:14.12} {count:10}"),
        };
    }
    let last = curve.last();
    let (max, count) = last.map_or((0.0, 0), |point| (point.us / 1e3, point.count));
    if let Some(centre) = centre {
        let (mean, deviation) = (centre.mean_us / 1e3, centre.deviation_us / 1e3);
        let _ = writeln!(text, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]");
        let _ = writeln!(text, "#[Max     = {max:12.3}, Total count    = {count:12}]");
        let _ =
            writeln!(text, "#[Buckets = {:12}, SubBuckets     = {:12}]", centre.buckets, centre.sub_buckets);
    } else {
        let _ = writeln!(text, "#[Max     = {max:12.3}, Total count    = {count:12}]");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_those_that_plotters_read() {
        let point = |quantile, us, count| CurvePoint { quantile, us, count };
        let curve = [point(0.5, 250.0, 2), point(0.75, 1_500.0, 3), point(1.0, 2_000.0, 4)];
        let centre = Centre { mean_us: 1_000.0, deviation_us: 500.0, buckets: 26, sub_buckets: 2048 };
        let text = text(&curve, Some(centre));
        let mut lines = text.lines();
        assert_eq!(lines.next().unwrap(), "       Value     Percentile TotalCount 1/(1-Percentile)");
        assert_eq!(lines.next().unwrap(), "");
        assert_eq!(lines.next().unwrap(), "    0.250000 0.500000000000          2           2.00");
        assert_eq!(lines.next().unwrap(), "    1.500000 0.750000000000          3           4.00");
        assert_eq!(lines.next().unwrap(), "    2.000000 1.000000000000          4");
        assert_eq!(lines.next().unwrap(), "#[Mean    =        1.000, StdDeviation   =        0.500]");
        assert_eq!(lines.next().unwrap(), "#[Max     =        2.000, Total count    =            4]");
        assert_eq!(lines.next().unwrap(), "#[Buckets =           26, SubBuckets     =         2048]");
    }
}
