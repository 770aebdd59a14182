//! One run of the generator: a process that ends in time, or the test fails.
use serde_json::Value;
use std::fmt;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// No run of these tests is longer: a generator that hangs fails here.
const LONGEST: Duration = Duration::from_secs(100);

/// What a run left.
pub(crate) struct Outcome {
    pub(crate) code: i32,
    /// Null when there was none.
    pub(crate) report: Value,
    /// Standard error.
    pub(crate) said: String,
    pub(crate) took: Duration,
}

impl fmt::Debug for Outcome {
    /// Without the course of the run, which is long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut report = self.report.clone();
        report.as_object_mut().and_then(|report| report.remove("course"));
        write!(f, "code {}, after {:?}, said {:?}, report {report}", self.code, self.took, self.said)
    }
}

impl Outcome {
    /// A count of the report, by its path: `faults.lost`.
    pub(crate) fn count(&self, path: &str) -> u64 {
        self.at(path).as_u64().unwrap_or_else(|| panic!("{path} is no count in {self:?}"))
    }

    /// A number of the report, by its path.
    pub(crate) fn number(&self, path: &str) -> f64 {
        self.at(path).as_f64().unwrap_or_else(|| panic!("{path} is no number in {self:?}"))
    }

    fn at(&self, path: &str) -> &Value {
        path.split('.').fold(&self.report, |value, key| &value[key])
    }

    /// How many messages took longer than this, in µs, by the report's curve.
    pub(crate) fn longer_than(&self, us: f64) -> u64 {
        let curve = self.report["course"]["latency"].as_array().unwrap();
        let below = curve.iter().take_while(|point| point["us"].as_f64().unwrap() <= us);
        let below = below.last().map_or(0, |point| point["count"].as_u64().unwrap());
        self.count("latency_us.count") - below
    }

    /// Every fault that was counted, by name.
    pub(crate) fn faults(&self) -> Vec<(String, u64)> {
        let faults = self.report["faults"].as_object().unwrap_or_else(|| panic!("no faults in {self:?}"));
        let counted = faults.iter().map(|(name, count)| (name.clone(), count.as_u64().unwrap()));
        counted.filter(|(_, count)| *count > 0).collect()
    }
}

/// Starts a run pinned to no core; whoever starts it waits for it with [`finish`].
pub(crate) fn start(arguments: &[&str]) -> Child {
    spawn(&[arguments, &["--core=any"]].concat())
}

fn spawn(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_longwire-bench"))
        .args(arguments)
        .arg("--json")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for its end.
pub(crate) fn finish(mut child: Child) -> Outcome {
    fn reader(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.unwrap().read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        })
    }
    let since = Instant::now();
    let (out, err) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if since.elapsed() > LONGEST {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the generator hangs; it said: {}", err.join().unwrap());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Outcome {
        code: status.code().unwrap_or(-1),
        report: serde_json::from_str(&out.join().unwrap()).unwrap_or(Value::Null),
        said: err.join().unwrap(),
        took: since.elapsed(),
    }
}

/// Runs `longwire-bench` with these arguments, pinned to no core.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    finish(start(arguments))
}

/// Runs `longwire-bench` and gives its exit code, its report and what it said beside it.
pub(crate) fn bench(arguments: &[&str]) -> (i32, Value, String) {
    let Outcome { code, report, said, .. } = finish(spawn(arguments));
    (code, report, said)
}

/// Runs the same for each of several workloads at once: most of the time each of them waits.
pub(crate) fn at_once<T: Sync>(workloads: &[T], work: impl Fn(&T) + Sync) {
    std::thread::scope(|scope| {
        for workload in workloads {
            scope.spawn(|| work(workload));
        }
    });
}
