//! Connections: how many, how long, how large. What is asked on them is none of its business.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use grap_task::Stop;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use crate::log::Log;

/// More wait until one has ended.
const CONNECTIONS_MAX: u32 = 64;
/// Threads beside the runtime: for what takes time.
const BLOCKING_MAX: usize = 48;
/// The head of a request is there within it, or the connection ends.
const HEAD_LIMIT: Duration = Duration::from_secs(5);
/// A connection ends within it, answered or not: a check of health takes less.
const CONNECTION_LIMIT: Duration = Duration::from_mins(2);
/// Bytes of the head of a request, and how many lines.
const HEAD_BYTES_MAX: usize = 16 << 10;
const HEAD_LINES_MAX: usize = 64;
/// Out of descriptors: they do not come back the faster for asking.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// At the end, for answers that are being given.
const FAREWELL: Duration = Duration::from_secs(1);

/// Until the stop.
pub(super) fn run(listener: TcpListener, router: Router, log: &Log, stop: &Stop) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(BLOCKING_MAX)
        .thread_name("http")
        .build()?;
    let stopped = on_stop(stop)?;
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX as usize));
    let listener = {
        let _within = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let accepting = runtime.spawn(accept(listener, router, Arc::clone(&seats), log.clone()));
    runtime.block_on(async {
        let _ = stopped.await;
        accepting.abort();
        // Every seat is free when every connection has ended.
        let _ = timeout(FAREWELL, seats.acquire_many(CONNECTIONS_MAX)).await;
    });
    // Who waits for the database on a thread of its own is not waited for: the question alone is lost.
    runtime.shutdown_background();
    Ok(())
}

/// The blocking stop, as something to be awaited.
fn on_stop(stop: &Stop) -> io::Result<oneshot::Receiver<()>> {
    let (tell, told) = oneshot::channel();
    let stop = stop.clone();
    let wait = move || {
        while !stop.wait(Duration::from_hours(1)) {}
        let _ = tell.send(());
    };
    std::thread::Builder::new().name("http-stop".to_owned()).spawn(wait)?;
    Ok(told)
}

async fn accept(listener: tokio::net::TcpListener, router: Router, seats: Arc<Semaphore>, log: Log) {
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(converse(stream, router.clone(), seat))),
            Err(error) => {
                log.warning(&format!("cannot take a connection: {error}"));
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// One request and its answer. However it ends, only this connection is concerned.
async fn converse(stream: TcpStream, router: Router, seat: OwnedSemaphorePermit) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEAD_LINES_MAX)
        .keep_alive(false);
    let conversation = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let _ = timeout(CONNECTION_LIMIT, conversation).await;
    drop(seat);
}
