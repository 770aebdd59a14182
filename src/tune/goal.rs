//! What the machine is to carry, and what a connection costs it. Knows no file and no knob.

use crate::net::endpoint::Endpoint;

/// User memory of an idle signed-in connection (bytes): measured 278, budget 300.
pub(super) const USER_BYTES: u64 = 300;
/// Kernel memory of an idle connection (bytes): socket, inode, file, dentry, security, and a receive that waits.
pub(super) const KERNEL_BYTES: u64 = 4_800;
/// What the system, the rings and the stores take beside connections (bytes).
pub(super) const BASE_BYTES: u64 = 1 << 30;
/// A page, as `tcp_mem` counts (bytes).
pub(super) const PAGE: u64 = 4096;

/// What the machine is to carry.
#[derive(Clone, Debug)]
pub struct Goal {
    /// Connections on all cores together.
    pub connections: u64,
    /// The server's cores; none for all that the process may use.
    pub cores: Option<Vec<usize>>,
    /// Where the server listens.
    pub listen: Vec<Endpoint>,
}

impl Goal {
    /// The ports it listens on, each once.
    pub(super) fn ports(&self) -> Vec<u16> {
        let mut ports: Vec<u16> =
            self.listen.iter().filter_map(|e| Some(e.address()?.port())).filter(|port| *port != 0).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// Memory that so many idle connections take, the system included (bytes).
    pub(super) fn idle_bytes(&self) -> u64 {
        self.connections * (USER_BYTES + KERNEL_BYTES) + BASE_BYTES
    }
}

/// A number with its thousands apart: `1,000,000`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes in the unit a person would use.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.0} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

/// A kernel's text with its tabs and line ends as single blanks.
pub(super) fn single_blanks(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!([grouped(0), grouped(999), grouped(1_000_000)], ["0", "999", "1,000,000"]);
        assert_eq!(
            [size(12), size(1536), size(5 << 20), size(5_100_000_000)],
            ["12 B", "1.5 KiB", "5 MiB", "4.7 GiB"]
        );
    }
}
