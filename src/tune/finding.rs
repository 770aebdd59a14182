//! What is found about a knob, and what changes it. Knows neither the knobs nor how a change is made.

use super::facts::sysctl_path;
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

/// Where sysctls stay over a reboot.
pub(super) const SYSCTL_FILE: &str = "/etc/sysctl.d/90-longwire.conf";
/// Where values of `/sys` and `/proc/irq` stay (tmpfiles.d(5) writes them at each start).
pub(super) const TMPFILES_FILE: &str = "/etc/tmpfiles.d/90-longwire.conf";

/// How a knob stands.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing to do.
    Ok,
    /// It limits the goal, or would: set it.
    Change,
    /// It works as it is; another value may be better here. Measure both.
    Consider,
    /// Not readable, or not there, in this place.
    CannotTell,
}

/// One thing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fix {
    /// A sysctl.
    Sysctl {
        /// Its name with dots.
        key: &'static str,
        /// The new value.
        value: String,
    },
    /// Files of `/sys` or `/proc` that all take the same value.
    Write {
        /// All of them as a shell and tmpfiles.d(5) know them.
        glob: String,
        /// Each of them, from the root.
        paths: Vec<String>,
        /// The new value.
        value: String,
    },
    /// A line of the server's systemd unit; takes effect at its next start.
    Unit(String),
    /// A parameter of the kernel's command line; takes effect at the next boot.
    Boot(String),
    /// Something a person has to decide or another program does.
    ByHand(String),
}

impl Fix {
    /// What to type, as root.
    pub fn command(&self) -> String {
        match self {
            Self::Sysctl { key, value } => format!("sysctl -w {key}='{value}'"),
            Self::Write { glob, paths, value } if paths.len() == 1 => format!("echo {value} > {glob}"),
            Self::Write { glob, value, .. } => format!("echo {value} | tee {glob}"),
            Self::Unit(line) => format!("systemctl edit longwire   # [Service], then {line}"),
            Self::Boot(parameter) => {
                format!(
                    "add {parameter} to GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub and reboot"
                )
            }
            Self::ByHand(command) => command.clone(),
        }
    }

    /// The file that makes it stay over a reboot and the line in it; none where the command itself stays, or nothing does.
    pub fn stays(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Sysctl { key, value } => Some((SYSCTL_FILE, format!("{key} = {value}"))),
            Self::Write { glob, value, .. } => Some((TMPFILES_FILE, format!("w {glob} - - - - {value}"))),
            Self::Unit(_) | Self::Boot(_) | Self::ByHand(_) => None,
        }
    }

    /// When it takes effect: `now`, at the server's `restart`, at the next `reboot`; `by hand` if this program cannot know.
    pub fn takes_effect(&self) -> &'static str {
        match self {
            Self::Sysctl { .. } | Self::Write { .. } => "now",
            Self::Unit(_) => "restart",
            Self::Boot(_) => "reboot",
            Self::ByHand(_) => "by hand",
        }
    }

    /// The files it writes, from the root, and what goes into them; none if it is none that can be set at run time.
    pub(super) fn files(&self) -> Option<(Vec<String>, &str)> {
        match self {
            Self::Sysctl { key, value } => Some((vec![sysctl_path(key)], value)),
            Self::Write { paths, value, .. } => Some((paths.clone(), value)),
            Self::Unit(_) | Self::Boot(_) | Self::ByHand(_) => None,
        }
    }
}

impl Serialize for Fix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fix = serializer.serialize_struct("Fix", 4)?;
        let stays = self.stays();
        fix.serialize_field("command", &self.command())?;
        fix.serialize_field("takes_effect", self.takes_effect())?;
        fix.serialize_field("stays_in", &stays.as_ref().map(|(file, _)| file))?;
        fix.serialize_field("stays_as", &stays.as_ref().map(|(_, line)| line))?;
        fix.end()
    }
}

/// How one knob stands, why, and what to do.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// The present value.
    pub now: String,
    /// The value it should have; empty if the present one will do.
    pub want: String,
    /// Why, in a sentence.
    pub why: String,
    /// What to do, in this order.
    pub fixes: Vec<Fix>,
}

#[allow(clippy::needless_pass_by_value, reason = "callers hand in numbers and texts alike")]
impl Finding {
    fn new(verdict: Verdict, now: impl ToString, want: impl ToString, why: impl Into<String>) -> Self {
        Self { verdict, now: now.to_string(), want: want.to_string(), why: why.into(), fixes: Vec::new() }
    }

    pub(super) fn ok(now: impl ToString, why: impl Into<String>) -> Self {
        Self::new(Verdict::Ok, now, "", why)
    }

    pub(super) fn change(now: impl ToString, want: impl ToString, why: impl Into<String>) -> Self {
        Self::new(Verdict::Change, now, want, why)
    }

    pub(super) fn consider(now: impl ToString, want: impl ToString, why: impl Into<String>) -> Self {
        Self::new(Verdict::Consider, now, want, why)
    }

    pub(super) fn cannot_tell(why: impl Into<String>) -> Self {
        Self::new(Verdict::CannotTell, "", "", why)
    }

    pub(super) fn fix(mut self, fix: Fix) -> Self {
        self.fixes.push(fix);
        self
    }

    pub(super) fn sysctl(self, key: &'static str, value: impl ToString) -> Self {
        self.fix(Fix::Sysctl { key, value: value.to_string() })
    }
}
