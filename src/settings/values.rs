//! The types a setting may have: each is read from text and shown as text. Knows no setting.

use crate::durability::Durability;
use crate::net::endpoint::Endpoint;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// A type that a setting may have. An error says what would have been accepted.
pub trait Value: Sized {
    /// What the type is called in messages and in the reference.
    const KIND: &'static str;
    /// Whether a TOML file writes it without quotes.
    const BARE: bool = false;

    /// Reads it, as a flag, a variable or a file has it.
    ///
    /// # Errors
    /// What is accepted instead.
    fn read(text: &str) -> Result<Self, String>;

    /// Writes it so that [`Value::read`] takes it back.
    fn show(&self) -> String;
}

/// A number of bytes, written `65536`, `64KiB`, `1MiB` or `2GiB`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Bytes(pub u64);

impl Bytes {
    /// The number as a length in memory.
    pub fn get(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Which cores run a shard each.
#[derive(Clone, PartialEq, Eq, PartialOrd, Debug)]
pub enum CoreList {
    /// Every core this process may use.
    All,
    /// These, in the order of their shards.
    Only(Vec<usize>),
}

/// The permissions of a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub struct FileMode(pub u32);

/// Core numbers above this are a mistyped list (the kernel's own limit is 8192).
const CORE_MAX: usize = 8191;
const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("B", 0)];

impl Value for Bytes {
    const KIND: &'static str = "size";

    fn read(text: &str) -> Result<Self, String> {
        let (digits, shift) = UNITS
            .iter()
            .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))
            .unwrap_or((text, 0));
        number(digits.trim_end()).and_then(|n| n.checked_mul(1 << shift)).map(Self).ok_or_else(|| {
            "is not a size; write bytes or a whole number of KiB, MiB or GiB, like 64KiB".into()
        })
    }

    fn show(&self) -> String {
        let fits = |shift: u32| self.0 != 0 && self.0.trailing_zeros() >= shift;
        let (unit, shift) = [UNITS[2], UNITS[1], UNITS[0]].into_iter().find(|u| fits(u.1)).unwrap_or(("", 0));
        format!("{}{unit}", self.0 >> shift)
    }
}

impl Value for Duration {
    const KIND: &'static str = "duration";

    fn read(text: &str) -> Result<Self, String> {
        if text == "0" {
            return Ok(Self::ZERO);
        }
        humantime::parse_duration(text).map_err(|_| {
            "is not a duration; write a number with its unit, like 50us, 250ms, 25s or 24h".into()
        })
    }

    fn show(&self) -> String {
        humantime::format_duration(*self).to_string()
    }
}

impl Value for u32 {
    const KIND: &'static str = "number";
    const BARE: bool = true;

    fn read(text: &str) -> Result<Self, String> {
        number(text)
            .and_then(|n| Self::try_from(n).ok())
            .ok_or_else(|| "is not a whole number (0 to 4294967295)".into())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for Option<u32> {
    const KIND: &'static str = "number or nothing";
    const BARE: bool = true;

    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { u32::read(text).map(Some) }
    }

    fn show(&self) -> String {
        self.map_or_else(String::new, |n| n.show())
    }
}

impl Value for bool {
    const KIND: &'static str = "yes or no";
    const BARE: bool = true;

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("is neither `true` nor `false`".into()),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for Option<bool> {
    const KIND: &'static str = "yes or no";
    const BARE: bool = true;

    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { bool::read(text).map(Some) }
    }

    fn show(&self) -> String {
        self.map_or_else(String::new, |b| b.show())
    }
}

impl Value for SocketAddr {
    const KIND: &'static str = "address";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "is not an address; write IP:PORT, like 127.0.0.1:9501 or [::1]:9501".into())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for Option<SocketAddr> {
    const KIND: &'static str = "address or `off`";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(None),
            _ => SocketAddr::read(text).map(Some).map_err(|e| format!("{e}, or `off`")),
        }
    }

    fn show(&self) -> String {
        self.map_or_else(|| "off".into(), |a| a.to_string())
    }
}

impl Value for Option<PathBuf> {
    const KIND: &'static str = "path";

    fn read(text: &str) -> Result<Self, String> {
        Ok((!text.is_empty()).then(|| PathBuf::from(text)))
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(String::new, |p| p.display().to_string())
    }
}

impl Value for Option<String> {
    const KIND: &'static str = "text";

    fn read(text: &str) -> Result<Self, String> {
        Ok((!text.is_empty()).then(|| text.to_string()))
    }

    fn show(&self) -> String {
        self.clone().unwrap_or_default()
    }
}

impl Value for Vec<String> {
    const KIND: &'static str = "list";

    fn read(text: &str) -> Result<Self, String> {
        Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(String::from).collect())
    }

    fn show(&self) -> String {
        self.join(",")
    }
}

impl Value for Vec<Endpoint> {
    const KIND: &'static str = "addresses";

    fn read(text: &str) -> Result<Self, String> {
        Endpoint::list(text)
    }

    fn show(&self) -> String {
        self.iter().map(Endpoint::to_string).collect::<Vec<_>>().join(",")
    }
}

impl Value for Vec<IpNet> {
    const KIND: &'static str = "networks";

    fn read(text: &str) -> Result<Self, String> {
        let network = |item: &str| {
            let whole = item.parse::<IpAddr>().map(IpNet::from);
            item.parse().ok().or(whole.ok()).ok_or_else(|| {
                format!("names `{item}`, which is not a network; write one like 10.0.0.0/8 or fd00::/8, or an address")
            })
        };
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(network).collect()
    }

    fn show(&self) -> String {
        self.iter().map(IpNet::to_string).collect::<Vec<_>>().join(",")
    }
}

impl Value for FileMode {
    const KIND: &'static str = "file mode";

    fn read(text: &str) -> Result<Self, String> {
        let digits = (3..=4).contains(&text.len()) && !text.starts_with('+');
        match u32::from_str_radix(text, 8) {
            Ok(mode) if digits && mode <= 0o777 => Ok(Self(mode)),
            _ => Err("is not a file mode; write octal digits, like 0660".into()),
        }
    }

    fn show(&self) -> String {
        format!("{:04o}", self.0)
    }
}

impl Value for CoreList {
    const KIND: &'static str = "cores";

    fn read(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        let wrong = || "is not a list of cores; write `all`, `0,1` or `0-3`".to_string();
        let mut cores = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let bounds = number(first).zip(number(last)).ok_or_else(wrong)?;
            let (first, last) = (bounds.0 as usize, bounds.1 as usize);
            if first > last || last > CORE_MAX {
                return Err(wrong());
            }
            cores.extend(first..=last);
        }
        match (1..cores.len()).find(|i| cores[..*i].contains(&cores[*i])) {
            Some(twice) => Err(format!("names core {} twice", cores[twice])),
            None => Ok(Self::Only(cores)),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::All => "all".into(),
            Self::Only(cores) => cores.iter().map(usize::to_string).collect::<Vec<_>>().join(","),
        }
    }
}

impl Value for Durability {
    const KIND: &'static str = "`memory`, `os` or `fsync`";

    fn read(text: &str) -> Result<Self, String> {
        let found = [Self::Memory, Self::Os, Self::Fsync].into_iter().find(|one| one.name() == text);
        found.ok_or_else(|| "is none of `memory`, `os` and `fsync`".into())
    }

    fn show(&self) -> String {
        self.name().into()
    }
}

/// Decimal digits with `_` between them where the reader likes.
fn number(text: &str) -> Option<u64> {
    let digits = text.replace('_', "");
    if digits.starts_with('+') { None } else { digits.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_binary_units() {
        for (text, n) in
            [("0", 0), ("1", 1), ("64KiB", 65_536), ("1 MiB", 1 << 20), ("2GiB", 2 << 30), ("7B", 7)]
        {
            assert_eq!(Bytes::read(text), Ok(Bytes(n)), "{text}");
            assert_eq!(Bytes::read(&Bytes(n).show()), Ok(Bytes(n)), "{text}");
        }
        for bad in ["", "KiB", "64K", "64kb", "-1", "+1", "1.5MiB", "99999999999GiB"] {
            assert!(Bytes::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn core_lists_take_ranges_and_refuse_doubles() {
        assert_eq!(CoreList::read("all"), Ok(CoreList::All));
        assert_eq!(CoreList::read("0-2,5"), Ok(CoreList::Only(vec![0, 1, 2, 5])));
        assert_eq!(CoreList::read("3, 1"), Ok(CoreList::Only(vec![3, 1])));
        for bad in ["", "a", "1-", "2-1", "0,0", "0-2,1", "99999", "-1"] {
            assert!(CoreList::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_rest_reads_what_it_shows() {
        assert_eq!(Duration::read("0"), Ok(Duration::ZERO));
        assert_eq!(Duration::read("25s").map(|d| d.show()), Ok("25s".into()));
        assert!(Duration::read("25").is_err());
        assert_eq!(Option::<SocketAddr>::read("off"), Ok(None));
        assert!(SocketAddr::read("localhost:1").is_err());
        assert_eq!(Vec::<String>::read("a, b,"), Ok(vec!["a".to_string(), "b".into()]));
        assert_eq!(u32::read("100_000"), Ok(100_000));
        assert!(u32::read("4294967296").is_err());
        assert!(bool::read("yes").is_err());
        let networks = Vec::<IpNet>::read("10.0.0.0/8, ::1").expect("networks");
        assert_eq!(networks.show(), "10.0.0.0/8,::1/128");
        assert!(Vec::<IpNet>::read("10.0.0.0/33").is_err() && Vec::<IpNet>::read("proxy.local").is_err());
        for (text, mode) in [("0660", 0o660), ("600", 0o600), ("0777", 0o777), ("000", 0)] {
            assert_eq!(FileMode::read(text), Ok(FileMode(mode)), "{text}");
            assert_eq!(FileMode::read(&FileMode(mode).show()), Ok(FileMode(mode)), "{text}");
        }
        for bad in ["", "6", "rw-", "0888", "1777", "+660", "00660"] {
            assert!(FileMode::read(bad).is_err(), "{bad}");
        }
    }
}
