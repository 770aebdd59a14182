//! The server's Prometheus page: what its counters grew by between two looks. Knows no workload.
use crate::limits::{PAGE_BYTES, SERIES_MAX};
use anyhow::{Context, ensure};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How long the page may take where nothing waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of the page read at once.
const PIECE: usize = 64 << 10;
/// Labels that only say which part of a server counted: their series are added up.
const PARTS: [&str; 5] = ["core", "shard", "worker", "thread", "cpu"];
/// Quantiles that are read out of a histogram's buckets.
const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];

/// Counters and buckets by name and labels.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Page {
    counters: BTreeMap<String, f64>,
    /// Counts at or below each bound, by histogram.
    buckets: BTreeMap<String, Vec<(f64, f64)>>,
}

impl Page {
    /// Asks for the page, which has to be there within so much time.
    pub(crate) fn fetch(url: &str, patience: Duration) -> anyhow::Result<Self> {
        Ok(Self::read(&get(url, Instant::now() + patience)?))
    }

    /// Takes what only grows out of a page: series that end in `_total`, `_count`, `_sum` or `_bucket`.
    fn read(text: &str) -> Self {
        let mut page = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, labels, value)) = series(line) else { continue };
            if page.counters.len() + page.buckets.len() >= SERIES_MAX {
                break;
            }
            if let Some(name) = name.strip_suffix("_bucket") {
                let Some(bound) = bound(&labels) else { continue };
                let buckets = page.buckets.entry(key(name, &labels)).or_default();
                match buckets.iter_mut().find(|(known, _)| *known == bound) {
                    Some((_, count)) => *count += value,
                    None => buckets.push((bound, value)),
                }
            } else if ["_total", "_count", "_sum"].iter().any(|end| name.ends_with(end)) {
                *page.counters.entry(key(name, &labels)).or_default() += value;
            }
        }
        page
    }

    /// What was added since `earlier`; of histograms also the quantiles of what was added, each the upper bound of its bucket.
    pub(crate) fn since(&self, earlier: &Self) -> Vec<(String, f64)> {
        let grown = self.counters.iter().map(|(name, value)| {
            let before = earlier.counters.get(name).copied().unwrap_or(0.0);
            // A server that was started again counts from zero.
            (name.clone(), if *value < before { *value } else { value - before })
        });
        let mut all: Vec<(String, f64)> = grown.filter(|(_, growth)| *growth != 0.0).collect();
        for (name, buckets) in &self.buckets {
            let before = earlier.buckets.get(name).map_or(&[] as &[_], Vec::as_slice);
            all.extend(
                quantiles(buckets, before).map(|(quantile, bound)| (with_quantile(name, quantile), bound)),
            );
        }
        all
    }

    /// The counter of this name, over all its labels.
    pub(crate) fn total(&self, name: &str) -> Option<f64> {
        let own = |series: &str| series.split('{').next() == Some(name);
        let values: Vec<f64> =
            self.counters.iter().filter(|(series, _)| own(series)).map(|(_, value)| *value).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }
}

/// Whether a page is there, with nothing said against it.
pub(crate) fn answers(url: &str) -> bool {
    get(url, Instant::now() + PATIENCE).is_ok()
}

/// A label and its value.
type Label<'a> = (&'a str, &'a str);

/// Name, labels and value of one line.
fn series(line: &str) -> Option<(&str, Vec<Label<'_>>, f64)> {
    let (name, mut rest) = line.split_at(line.find(['{', ' '])?);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside.trim_start_matches([',', ' ']);
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let end = closing_quote(after)?;
            labels.push((label.trim(), &after[..end]));
            rest = after[end + 1..].trim_start_matches([',', ' ']);
        }
        rest = &rest[1..];
    }
    // A time may follow the value.
    let value: f64 = rest.split_ascii_whitespace().next()?.parse().ok()?;
    value.is_finite().then_some((name, labels, value))
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

fn key(name: &str, labels: &[Label<'_>]) -> String {
    let kept = labels.iter().filter(|(label, _)| *label != "le" && !PARTS.contains(label));
    let kept: Vec<String> = kept.map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    if kept.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", kept.join(",")) }
}

fn with_quantile(series: &str, quantile: f64) -> String {
    match series.strip_suffix('}') {
        Some(open) => format!("{open},quantile=\"{quantile}\"}}"),
        None => format!("{series}{{quantile=\"{quantile}\"}}"),
    }
}

fn bound(labels: &[Label<'_>]) -> Option<f64> {
    labels.iter().find(|(label, _)| *label == "le")?.1.parse().ok()
}

/// Of the counts that were added, for each quantile the least finite bound that holds it.
fn quantiles(now: &[(f64, f64)], before: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    let earlier =
        |bound: f64| before.iter().find(|(known, _)| *known == bound).map_or(0.0, |(_, count)| *count);
    let mut grown: Vec<(f64, f64)> =
        now.iter().map(|&(bound, count)| (bound, count - earlier(bound))).collect();
    grown.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all = grown.last().map_or(0.0, |(_, count)| *count);
    QUANTILES.into_iter().filter(move |_| all > 0.0).filter_map(move |quantile| {
        let holds = |&&(bound, count): &&(f64, f64)| bound.is_finite() && count >= quantile * all;
        grown.iter().find(holds).map(|(bound, _)| (quantile, *bound))
    })
}

fn get(url: &str, until: Instant) -> anyhow::Result<String> {
    let rest = url.strip_prefix("http://").context("only http:// is spoken here")?;
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let address = host.to_socket_addrs()?.next().with_context(|| format!("{host} has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, left(until)?)?;
    stream.set_write_timeout(Some(left(until)?))?;
    stream
        .write_all(format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let (mut answer, mut piece) = (Vec::new(), vec![0; PIECE]);
    while (answer.len() as u64) < PAGE_BYTES {
        // A page that comes byte by byte takes no longer than one that does not come.
        stream.set_read_timeout(Some(left(until)?))?;
        let read = stream.read(&mut piece).context("the page did not come in time")?;
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&piece[..read]);
    }
    let answer = String::from_utf8_lossy(&answer);
    let (head, page) = answer.split_once("\r\n\r\n").context("no whole answer")?;
    let status = head.lines().next().unwrap_or_default();
    ensure!(status.split(' ').nth(1) == Some("200"), "{url} answers {status}");
    Ok(page.to_owned())
}

/// The time left, of which there must be some.
fn left(until: Instant) -> anyhow::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    ensure!(!left.is_zero(), "the page took too long");
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn what_grows_is_read_and_added_up_over_the_parts_of_a_server() {
        let page = Page::read(
            "# TYPE a_total counter\n\
             a_total{core=\"0\"} 5\na_total{core=\"1\"} 7 1700000000\n\
             b_total{kind=\"x\\\"},\",core=\"0\"} 1e3\nnow 3\nbroken_total{a=\n\nc_sum NaN\n",
        );
        let counters: Vec<_> = page.counters.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(counters, [("a_total", 12.0), ("b_total{kind=\"x\\\"},\"}", 1000.0)]);
        assert_eq!(
            (page.total("a_total"), page.total("b_total"), page.total("b")),
            (Some(12.0), Some(1000.0), None)
        );
    }

    #[test]
    fn growth_is_told_and_a_restart_counts_from_zero() {
        let before = Page::read("a_total 5\nb_total 7\nc_total 1\n");
        let after = Page::read("a_total 9\nb_total 2\nc_total 1\nd_total 3\n");
        let grown = [("a_total", 4.0), ("b_total", 2.0), ("d_total", 3.0)];
        assert_eq!(after.since(&before), grown.map(|(name, growth)| (name.to_owned(), growth)));
    }

    #[test]
    fn quantiles_are_those_of_what_was_added() {
        let buckets = |counts: [u32; 4]| {
            let bounds = ["0.1", "1", "10", "+Inf"];
            let lines =
                bounds.iter().zip(counts).map(|(le, count)| format!("h_bucket{{le=\"{le}\"}} {count}\n"));
            Page::read(&lines.collect::<String>())
        };
        let grown = buckets([160, 195, 200, 201]).since(&buckets([100, 100, 100, 100]));
        let expected = [("h{quantile=\"0.5\"}", 0.1), ("h{quantile=\"0.99\"}", 10.0)];
        assert_eq!(
            grown,
            expected.map(|(name, bound)| (name.to_owned(), bound)),
            "p99.9 has no finite bound"
        );
        assert_eq!(buckets([1, 1, 1, 1]).since(&buckets([1, 1, 1, 1])), []);
    }

    #[test]
    fn a_page_comes_over_http_and_a_refusal_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            for status in ["200 OK", "404 Not Found"] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 512];
                let read = stream.read(&mut request).unwrap();
                assert!(request[..read].starts_with(b"GET /metrics HTTP/1.0\r\n"));
                write!(stream, "HTTP/1.0 {status}\r\nx_total 1\r\n\r\na_total 5\n").unwrap();
            }
        });
        assert_eq!(Page::fetch(&url, PATIENCE).unwrap(), Page::read("a_total 5\n"));
        assert!(Page::fetch(&url, PATIENCE).unwrap_err().to_string().contains("404"));
        server.join().unwrap();
    }

    #[test]
    fn a_page_that_trickles_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // Until the other side has left.
            while stream.write_all(b"a").is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        assert!(Page::fetch(&url, Duration::from_millis(50)).is_err());
        server.join().unwrap();
    }
}
