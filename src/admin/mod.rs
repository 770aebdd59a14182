//! The operator's HTTP side: metrics, health, readiness. Knows no shard's state: it asks, and gives up after 2 s.

mod metrics;
mod process;
mod store;
#[cfg(test)]
mod tests;

use crate::ids::ShardId;
use crate::metrics::{Snapshot, StoreLevels};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A shard that takes longer to answer counts as stuck; the tests' silent shard need not hold them up.
const ANSWER_TIMEOUT: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(2) };
const INDEX: &str =
    "longwire: /metrics for Prometheus, /healthz (is every shard alive?), /readyz (send clients here?)\n";

/// How the shards are asked. The server implements it on its control handle, a test with a fake.
pub trait Shards: Send + Sync + 'static {
    /// How many shards there are.
    fn shards(&self) -> u16;

    /// A shard's numbers; `None` when it has ended. It need not give up by itself.
    fn ask(&self, shard: ShardId) -> impl Future<Output = Option<Snapshot>> + Send;

    /// Whether new clients should go elsewhere.
    fn is_draining(&self) -> bool;

    /// How it stands with the store, if there is one.
    fn store(&self) -> Option<StoreLevels> {
        None
    }

    /// Why nothing can be stored now, if nothing can.
    fn refuses(&self) -> Option<String> {
        None
    }

    /// How it stands with the certificate, if there is one.
    fn certificate(&self) -> Option<CertificateLevels> {
        None
    }
}

/// What is told of the certificate that TLS connections begin with.
#[derive(Clone, Copy, Debug)]
pub struct CertificateLevels {
    /// Until when it is valid (seconds since the Unix epoch).
    pub expires: u64,
    /// How often another was read since the start.
    pub reloads: u64,
    /// How often that failed, and the old one was kept.
    pub failures: u64,
}

/// Serves until its task is dropped.
///
/// # Errors
/// What the listener says when it fails for good.
pub async fn serve(listener: TcpListener, shards: impl Shards) -> std::io::Result<()> {
    axum::serve(listener, router(shards)).await
}

/// The routes, for [`serve`] and for tests.
pub fn router<S: Shards>(shards: S) -> Router {
    Router::new()
        .route("/", get(|| async { INDEX }))
        .route("/metrics", get(metrics_page::<S>))
        .route("/healthz", get(health::<S>))
        .route("/readyz", get(readiness::<S>))
        .with_state(Arc::new(shards))
}

/// Asks all shards at the same time; those that do not answer are missing from the answer.
async fn ask_all<S: Shards>(shards: &Arc<S>) -> Vec<Snapshot> {
    let mut asked = JoinSet::new();
    for shard in (0..shards.shards()).map(ShardId) {
        let shards = Arc::clone(shards);
        asked.spawn(async move { timeout(ANSWER_TIMEOUT, shards.ask(shard)).await.ok().flatten() });
    }
    let mut answers: Vec<Snapshot> = asked.join_all().await.into_iter().flatten().collect();
    answers.sort_by_key(|snapshot| snapshot.shard);
    answers
}

async fn metrics_page<S: Shards>(State(shards): State<Arc<S>>) -> impl IntoResponse {
    let answers = ask_all(&shards).await;
    match metrics::page(answers, shards.is_draining(), shards.certificate(), shards.store()) {
        Ok(page) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], page).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn health<S: Shards>(State(shards): State<Arc<S>>) -> (StatusCode, String) {
    let answers = ask_all(&shards).await;
    let silent: Vec<String> = (0..shards.shards())
        .filter(|shard| answers.iter().all(|answer| answer.shard.0 != *shard))
        .map(|shard| shard.to_string())
        .collect();
    if silent.is_empty() {
        (StatusCode::OK, format!("ok: {} shards answer\n", answers.len()))
    } else {
        let wait = ANSWER_TIMEOUT.as_secs();
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("no answer within {wait} s from shard {}\n", silent.join(", ")),
        )
    }
}

async fn readiness<S: Shards>(State(shards): State<Arc<S>>) -> (StatusCode, String) {
    let why = if shards.is_draining() { Some("draining".into()) } else { shards.refuses() };
    match why {
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        None => (StatusCode::OK, "ready\n".into()),
    }
}
