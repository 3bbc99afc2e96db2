//! What can be asked, and what is done about it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use grap_task::Stop;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::hosts::Hosts;
use super::{answers, metrics};
use crate::daemon::Daemon;

/// So many may wait for the database at once; others are told to come again. Those who do not ask for it are never
/// behind them.
const WAITING_MAX: usize = 32;
/// Who is to come again is told when.
const RETRY: Duration = Duration::from_secs(10);
/// A scrape takes the health that is known; older, and it is looked at anew, behind the scrape's back.
const HEALTH_AGE_MAX: Duration = Duration::from_mins(1);

struct Site {
    daemon: Arc<Daemon>,
    stop: Stop,
    waiting: Arc<Semaphore>,
}

pub(super) fn router(daemon: &Arc<Daemon>, hosts: Hosts, stop: &Stop) -> Router {
    let site = Site {
        daemon: Arc::clone(daemon),
        stop: stop.clone(),
        waiting: Arc::new(Semaphore::new(WAITING_MAX)),
    };
    Router::new()
        .route("/health/graph", get(health))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(figures))
        .fallback(nothing_here)
        .with_state(Arc::new(site))
        .layer(from_fn_with_state(Arc::new(hosts), for_us))
}

/// 421: it asks for somebody else.
async fn for_us(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    if hosts.admit(request.headers(), request.uri()) {
        next.run(request).await
    } else {
        json(StatusCode::MISDIRECTED_REQUEST, &answers::not_for_us())
    }
}

#[derive(Deserialize)]
struct HealthQuery {
    #[serde(default)]
    detailed: bool,
}

/// 200: healthy. 503: it is not, or it cannot be said now. 500: Grap could not look.
async fn health(State(site): State<Arc<Site>>, Query(query): Query<HealthQuery>) -> Response {
    let Ok(place) = Arc::clone(&site.waiting).try_acquire_owned() else {
        return come_again(&answers::busy(RETRY));
    };
    let asked = Arc::clone(&site);
    let wait = move || {
        // Its place is taken for as long as the thread waits, also when the client has gone.
        let _place = place;
        look(&asked, query.detailed)
    };
    let answer = spawn_blocking(wait).await;
    answer.unwrap_or_else(|_| json(StatusCode::INTERNAL_SERVER_ERROR, &answers::fault()))
}

fn look(site: &Site, detailed: bool) -> Response {
    let daemon = &site.daemon;
    let recovery = match daemon.recovery(&site.stop) {
        Ok(recovery) => recovery,
        Err(failure) => return json(StatusCode::INTERNAL_SERVER_ERROR, &answers::failed(&failure)),
    };
    if site.stop.requested() {
        return come_again(&answers::busy(RETRY));
    }
    if let Some(recovery) = &recovery {
        return come_again(&answers::recovering(recovery, RETRY));
    }
    let seen = daemon.health(detailed, &site.stop);
    match &seen.result {
        Ok(report) if report.is_healthy() => json(StatusCode::OK, &answers::health(report, detailed)),
        Ok(report) => json(StatusCode::SERVICE_UNAVAILABLE, &answers::health(report, detailed)),
        Err(failure) => json(StatusCode::INTERNAL_SERVER_ERROR, &answers::failed(failure)),
    }
}

/// The process answers.
async fn livez() -> Response {
    json(StatusCode::OK, &answers::alive())
}

/// The daemon can do its work: every job runs, and the repository can be opened.
async fn readyz(State(site): State<Arc<Site>>) -> Response {
    let asked = Arc::clone(&site);
    match spawn_blocking(move || asked.daemon.hindrances()).await {
        Ok(hindrances) => {
            let ready = hindrances.is_empty();
            let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            json(status, &answers::ready(&hindrances))
        }
        Err(_) => json(StatusCode::INTERNAL_SERVER_ERROR, &answers::fault()),
    }
}

/// As it is known, at once: a scrape waits for nothing, and however many scrape, the database is asked once a minute.
async fn figures(State(site): State<Arc<Site>>) -> Response {
    let asked = Arc::clone(&site);
    let text = spawn_blocking(move || metrics::text(&asked.daemon.figures(&asked.stop))).await;
    let asked = Arc::clone(&site);
    drop(spawn_blocking(move || asked.daemon.refresh_health(HEALTH_AGE_MAX, &asked.stop)));
    match text {
        Ok(text) => (StatusCode::OK, [(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => json(StatusCode::INTERNAL_SERVER_ERROR, &answers::fault()),
    }
}

async fn nothing_here() -> Response {
    (StatusCode::NOT_FOUND, "there is /health/graph, /livez, /readyz and /metrics\n").into_response()
}

fn come_again(answer: &Value) -> Response {
    let mut response = json(StatusCode::SERVICE_UNAVAILABLE, answer);
    response.headers_mut().insert(RETRY_AFTER, RETRY.as_secs().into());
    response
}

fn json(status: StatusCode, answer: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], format!("{answer}\n")).into_response()
}
