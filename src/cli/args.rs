//! The command line: commands, their flags, and help that a newcomer can act on. Knows no action.

use crate::settings;
use clap::{Arg, ArgAction, Command};

const EXAMPLES: &str = "\
Try it on this machine:
  longwire serve --dev
  npx wscat -c ws://127.0.0.1:9501/          (in a second terminal)
  > {\"type\":\"auth\",\"username\":\"alice\"}
  > {\"type\":\"message\",\"to\":\"bob\",\"message\":\"hello\"}

Serve others, with signed tokens:
  head -c 32 /dev/urandom | base64 > token.key
  longwire serve --listen 0.0.0.0:9501 --token-key token.key --data-dir data
  longwire gentoken --user alice --ttl 1h --token-key token.key

Keep settings in a file:
  longwire genconfig > longwire.toml
  longwire serve --config longwire.toml";

const SERVE: &str = "\
Try it: longwire serve --dev. Without --dev a token key is needed, --token-key FILE, and a place for messages: --data-dir DIR.
`--help` lists every setting, `-h` the main ones; `longwire genconfig` prints a settings file.
A flag comes before its variable (LONGWIRE_SERVER_LISTEN), which comes before the settings file.
SIGTERM or Ctrl-C closes all connections (code 3000) and ends; a second one ends at once.";

const TUNE: &str = "\
Each knob of kernel and machine: its value now, `ok`, `CHANGE`, `consider` or `?` (this place
does not tell), why, and the command that sets it; tuning.md explains them.
It looks at the limits of this process; at those of a running server with --pid.
Exit code: 0; with --check 1 if something is to be changed; with --apply 1 if something
was refused; 2 for wrong arguments.";

const STORE: &str = "\
The server must be stopped: these commands take the folder's lock, and say which process has it.
docs/storage.md has the format of the folder and of exports, backups, and what to do on damage.

Back up, and restore into an empty folder:
  longwire store export --data-dir ./longwire-data backup.jsonl
  longwire store import --data-dir ./restored backup.jsonl
Move to another machine:
  longwire store export --data-dir ./longwire-data - | ssh other longwire store import --data-dir /srv/chat -

Exit code: 0; 1 if something is damaged or could not be done; 2 for wrong arguments.";

/// All commands.
pub(super) fn command() -> Command {
    Command::new("longwire")
        .version(env!("CARGO_PKG_VERSION"))
        .about("An instant-messaging server: chat over WebSocket, one shard of the connections per core")
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_all_settings(Command::new("serve").about("Run the chat server").after_help(SERVE)))
        .subcommand(echo())
        .subcommand(gentoken())
        .subcommand(with_all_settings(
            Command::new("checkconfig").about(
                "Check the settings a server would start with, and print what differs from the defaults",
            ),
        ))
        .subcommand(genconfig())
        .subcommand(tune())
        .subcommand(store())
}

fn with_all_settings(command: Command) -> Command {
    command.arg(config()).args(settings::args(|_| true))
}

fn config() -> Arg {
    Arg::new("config")
        .long("config")
        .value_name("FILE")
        .help("Settings file (TOML) [or LONGWIRE_CONFIG]")
        .help_heading("Main settings")
}

fn echo() -> Command {
    Command::new("echo")
        .about("Run a plain WebSocket echo server, for conformance suites and measurements")
        .after_help("It runs on the chat server's data plane. Messages up to 64 MiB come back as they were sent. Nobody signs in: keep it on a private address.")
        .args(settings::args(|row| ["server.listen", "server.unix_mode", "tls.certificate", "tls.key", "server.cores", "server.connection_limit", "proxy.trusted"].contains(&row.key)))
}

fn gentoken() -> Command {
    let name = |id: &'static str, help: &'static str| Arg::new(id).long(id).value_name("NAME").help(help);
    Command::new("gentoken")
        .about("Sign a token that lets a user in, and print it")
        .after_help(
            "Example: longwire gentoken --user alice --ttl 1h --token-key token.key --group team\n\
             The audience and issuer of the server's settings go into the token, so give the same --config.",
        )
        .arg(name("user", "Who signs in with it").required(true))
        .arg(Arg::new("ttl").long("ttl").value_name("TIME").help("How long it is valid").default_value("1h"))
        .arg(name("group", "A group the user may join; repeat for more").action(ArgAction::Append))
        .arg(
            Arg::new("broadcast")
                .long("broadcast")
                .action(ArgAction::SetTrue)
                .help("May send to everyone connected"),
        )
        .arg(config().help_heading(None))
        .args(
            settings::args(|row| row.section() == "token")
                .map(|arg| arg.hide_short_help(false).help_heading(None)),
        )
}

fn genconfig() -> Command {
    Command::new("genconfig")
        .about("Print a settings file with every default, to start from")
        .after_help("Example: longwire genconfig > longwire.toml")
        .arg(
            Arg::new("markdown")
                .long("markdown")
                .action(ArgAction::SetTrue)
                .help("Print the reference (docs/configuration.md) instead"),
        )
}

fn tune() -> Command {
    let switch =
        |id: &'static str, help: &'static str| Arg::new(id).long(id).action(ArgAction::SetTrue).help(help);
    let text = |id: &'static str, value: &'static str, default: &'static str, help: &'static str| {
        Arg::new(id).long(id).value_name(value).default_value(default).help(help)
    };
    Command::new("tune")
        .about("Check this machine for many connections, say what to change, and change it")
        .after_help(TUNE)
        .args([
            switch("json", "Print JSON"),
            switch("check", "End with 1 if something is to be changed"),
            switch("apply", "Make the changes that take effect at once (root), and tell each"),
            switch("dry-run", "With --apply: only tell what would be done").requires("apply"),
            switch("keep", "With --apply: make them stay, in /etc/sysctl.d/90-longwire.conf and /etc/tmpfiles.d/90-longwire.conf")
                .requires("apply")
                .conflicts_with("dry-run"),
            text("pid", "PID", "self", "Whose limits, cgroup and cores to look at"),
            text("root", "DIR", "/", "Where /proc, /sys and /etc are: a copy of another machine's, or the host's in a container"),
        ])
        .arg(config())
        .args(settings::args(|row| ["server.listen", "server.cores"].contains(&row.key)))
        .args(settings::args(|row| row.key == "server.connection_limit").map(|arg| {
            arg.help("Connections to tune for [default: the settings file's; without one, 1000000]")
        }))
}

fn store() -> Command {
    let file = |help: &'static str| Arg::new("file").value_name("FILE").help(help);
    let switch =
        |id: &'static str, help: &'static str| Arg::new(id).long(id).action(ArgAction::SetTrue).help(help);
    let command = |name: &'static str, about: &'static str| {
        let data_dir = settings::args(|row| row.key == "store.data_dir").map(|arg| {
            arg.help("The store's folder [or LONGWIRE_STORE_DATA_DIR]")
                .hide_short_help(false)
                .help_heading(None)
        });
        Command::new(name).about(about).args(data_dir).arg(config().help_heading(None))
    };
    Command::new("store")
        .about("Look after a stopped server's messages: check, count, back up, restore")
        .after_help(STORE)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(command("check", "Verify each commit of the log, and the view against it; changes nothing"))
        .subcommand(command("stats", "Count messages, conversations, users and bytes, and tell what a start would do"))
        .subcommand(
            command("export", "Write everything as lines of JSON")
                .arg(file("Where to; `-` is standard output").required(true))
                .arg(switch("view-only", "Leave a damaged log aside: what it has beyond the view is missing")),
        )
        .subcommand(
            command("import", "Make a store of an export, in an empty folder")
                .arg(file("The export; `-` is standard input").required(true)),
        )
        .subcommand(
            command("delete", "Delete a conversation: its messages, its members, where everyone has read to").arg(
                clap::Arg::new("conversation")
                    .value_name("CONVERSATION")
                    .help("Like u:alice:bob or g:garden")
                    .required(true),
            ),
        )
        .subcommand(
            command("rebuild", "Make a damaged view anew, of an export and the log behind it")
                .arg(file("An export of this store, `-` is standard input; without one the log must have everything"))
                .arg(switch("accept-loss", "Go on where records are neither in the export nor in the log")),
        )
}
