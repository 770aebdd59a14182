//! The control thread: signals and the operator's HTTP side, on a tokio runtime of its own. Knows no connection.

use super::tls::Tls;
use crate::admin;
use crate::shard::Control;
use std::net::TcpListener;
use std::process::exit;
use std::sync::mpsc;
use std::time::Duration;
use std::{io, thread};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long beyond the shutdown timeout the shards may take before they count as stuck.
const GRACE: Duration = Duration::from_secs(1);
/// How long closing what is stored may take on top of that.
const CLOSING: Duration = Duration::from_secs(60);
/// Exit code of a server that was told twice to stop.
const STOPPED_AT_ONCE: i32 = 130;

/// Starts the thread, on the `spare` cores when there are any, and returns when signals are caught.
pub(super) fn start(
    admin: Option<TcpListener>,
    control: Control,
    tls: Option<Tls>,
    timeout: Duration,
    spare: Vec<usize>,
) -> io::Result<()> {
    let (ready, is_ready) = mpsc::channel();
    thread::Builder::new().name("control".into()).spawn(move || {
        // The shards' cores are theirs; if there are no others, the kernel finds this thread a moment.
        if !spare.is_empty() && affinity::set_thread_affinity(&spare).is_err() {
            eprintln!("warning: the control thread could not be kept off the shards' cores");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Err(error) =
            runtime.and_then(|runtime| runtime.block_on(run(admin, control, tls, timeout, &ready)))
        {
            // Nobody listens any more once the start succeeded, and nothing fails after that.
            let _ = ready.send(Err(error));
        }
    })?;
    is_ready.recv().unwrap_or_else(|_| Err(io::Error::other("it ended early")))
}

async fn run(
    admin: Option<TcpListener>,
    control: Control,
    tls: Option<Tls>,
    timeout: Duration,
    ready: &mpsc::Sender<io::Result<()>>,
) -> io::Result<()> {
    let mut stops = Stops { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? };
    if let Some(listener) = admin {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let shards = control.clone();
        tokio::spawn(async move {
            if let Err(error) = admin::serve(listener, shards).await {
                eprintln!("warning: the admin listener ended: {error}");
            }
        });
    }
    if let Some(tls) = tls {
        tls.follow(control.clone()).await?;
    }
    let _ = ready.send(Ok(()));
    stops.next().await;
    eprintln!("longwire stops: closing all connections (a second signal ends it at once)");
    control.drain(timeout);
    // The main thread ends the process as soon as every shard has.
    tokio::select! {
        () = stops.next() => exit(STOPPED_AT_ONCE),
        () = tokio::time::sleep(timeout + GRACE) => {}
    }
    if !control.have_shards_ended() {
        eprintln!("error: a shard did not stop within {timeout:?}");
        exit(1)
    }
    eprintln!("note: waiting for the disk: what is stored is being closed (a second signal does not wait)");
    tokio::select! {
        () = stops.next() => exit(STOPPED_AT_ONCE),
        () = tokio::time::sleep(CLOSING) => {
            eprintln!("error: the disk took over {CLOSING:?}: ending as if killed, which loses nothing acknowledged");
            exit(1)
        }
    }
}

struct Stops {
    term: Signal,
    int: Signal,
}

impl Stops {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
