//! Figures with their units, as people read them: short, with the prefix that fits. Knows no report.

/// Microseconds: `850 ns`, `12.3 µs`, `4.56 ms`, `1.02 s`.
pub(crate) fn time(us: f64) -> String {
    let (value, unit) = match us {
        us if us < 0.9995 => (us * 1e3, "ns"),
        us if us < 999.5 => (us, "µs"),
        us if us < 999_500.0 => (us / 1e3, "ms"),
        _ => (us / 1e6, "s"),
    };
    format!("{} {unit}", three(value))
}

/// Bytes, in powers of ten: `312 B`, `4.1 MB`; signed, since memory also shrinks.
pub(crate) fn bytes(bytes: f64) -> String {
    scaled(bytes, &["B", "kB", "MB", "GB", "TB"])
}

/// A count where three digits are enough: `950`, `12.3 k`, `1.05 M`.
pub(crate) fn short(count: f64) -> String {
    scaled(count, &["", "k", "M", "G"]).trim_end().to_owned()
}

/// A count to the last digit: `1,234,567`.
pub(crate) fn whole(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds of a run: `−2 s`, `45 s`, `2:30`, `1:02:30`; tenths only where there are any.
pub(crate) fn clock(seconds: f64) -> String {
    let sign = if seconds < 0.0 { "−" } else { "" };
    let tenths = (seconds.abs() * 10.0).round();
    let (whole, rest) = ((tenths / 10.0).floor(), tenths % 10.0);
    if whole < 60.0 {
        return if rest > 0.0 { format!("{sign}{whole}.{rest} s") } else { format!("{sign}{whole} s") };
    }
    let (hours, minutes, seconds) = ((whole / 3600.0).floor(), (whole / 60.0).floor() % 60.0, whole % 60.0);
    if hours > 0.0 {
        format!("{sign}{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{sign}{minutes}:{seconds:02}")
    }
}

/// Three digits that mean something, without needless zeros.
fn three(value: f64) -> String {
    let digits = match value.abs() {
        magnitude if magnitude >= 99.95 => 0,
        magnitude if magnitude >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn scaled(value: f64, units: &[&str]) -> String {
    let (mut value, mut at) = (value, 0);
    while value.abs() >= 999.5 && at + 1 < units.len() {
        value /= 1e3;
        at += 1;
    }
    format!("{} {}", three(value).replace('-', "−"), units[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_fits() {
        let times = [0.85, 12.34, 999.6, 4_560.0, 1_020_000.0, 100_000.0].map(time);
        assert_eq!(times, ["850 ns", "12.3 µs", "1 ms", "4.56 ms", "1.02 s", "100 ms"]);
        assert_eq!([312.0, 4.1e6, -2_500.0, 9.999e9].map(bytes), ["312 B", "4.1 MB", "−2.5 kB", "10 GB"]);
        assert_eq!(
            [950.0, 2.5, 12_300.0, 1_050_000.0, 0.0].map(short),
            ["950", "2.5", "12.3 k", "1.05 M", "0"]
        );
    }

    #[test]
    fn counts_and_clocks_are_written_out() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(whole), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [-2.0, 0.5, 45.0, 150.0, 3_750.0].map(clock),
            ["−2 s", "0.5 s", "45 s", "2:30", "1:02:30"]
        );
    }
}
