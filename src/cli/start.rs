//! Starts a planned server, tells where it is, and waits for its end. Knows no connection.

use super::banner::{self, Facts};
use super::tls::Tls;
use super::{Failure, control, cores, print};
use crate::auth::Verifier;
use crate::settings::Settings;
use crate::shard::{self, AppKind, Plan};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

/// What to start.
pub(super) struct Start {
    pub(super) settings: Settings,
    pub(super) verifier: Option<Arc<Verifier>>,
    pub(super) app: AppKind,
    pub(super) admin: Option<SocketAddr>,
}

/// Runs until a signal has drained the server.
pub(super) fn run(start: Start) -> Result<(), Failure> {
    let settings = Arc::new(start.settings);
    let cores = cores::resolve(&settings.server_cores)?;
    let spare = cores::spare(&cores);
    let admin = start.admin.map(bind_admin).transpose()?;
    let admin_address = admin.as_ref().and_then(|listener| listener.local_addr().ok());
    let tls = Tls::load(&settings)?;
    let server = shard::launch(&Plan {
        listen: settings.server_listen.clone(),
        cores: cores.clone(),
        connections: settings.server_connection_limit as usize,
        settings: Arc::clone(&settings),
        verifier: start.verifier,
        tls: tls.as_ref().map(Tls::acceptor),
        app: start.app,
    })
    .map_err(Failure::failed)?;
    let warning = tls.as_ref().and_then(Tls::warning);
    control::start(admin, server.control(), tls, settings.shutdown_timeout, spare)
        .map_err(|error| Failure::failed(format!("control thread: {error}")))?;
    let facts = Facts {
        listens_on: server.listens_on(),
        admin: admin_address,
        cores: &cores,
        capacity: server.capacity().to_string(),
        settings: &settings,
        app: start.app,
        report: server.report(),
    };
    print(&banner::text(&facts));
    if let Some(warning) = warning {
        eprintln!("warning: {warning}");
    }
    server.join().map_err(Failure::failed)
}

fn bind_admin(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|error| {
        Failure::failed(format!("admin address {address}: {error}"))
            .next("choose another with --admin-listen ADDR, or `--admin-listen off`")
    })
}
