//! A relay between client and server, on loopback: it records what goes by, may ask for another version than the
//! client does, and may stop giving on what the server says.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use grap_bolt::Version;
use grap_bolt::chunk::{Dechunker, Frame};
use grap_bolt::handshake::{MAGIC, MANIFEST, Manifest};

pub(crate) struct Relay {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Offered to the server in place of what the client offers.
    offer: Option<Version>,
    /// What the server says is not given on any more.
    deaf: AtomicBool,
    from_client: Mutex<Vec<u8>>,
    from_server: Mutex<Vec<u8>>,
}

impl Relay {
    pub(crate) fn to(server: SocketAddr) -> Self {
        Self::start(server, None)
    }

    /// The server is offered this version only.
    pub(crate) fn offering(server: SocketAddr, version: Version) -> Self {
        Self::start(server, Some(version))
    }

    fn start(server: SocketAddr, offer: Option<Version>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { offer, ..Shared::default() });
        let mine = Arc::clone(&shared);
        // One connection, then the listener closes.
        thread::spawn(move || {
            let (client, _) = listener.accept().unwrap();
            let server = TcpStream::connect(server).unwrap();
            let (client_too, server_too) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let also_mine = Arc::clone(&mine);
            thread::spawn(move || to_server(client, server, &mine));
            to_client(server_too, client_too, &also_mine);
        });
        Self { address, shared }
    }

    /// From now on the client hears nothing; the server still does.
    pub(crate) fn swallow_answers(&self) {
        self.shared.deaf.store(true, Ordering::SeqCst);
    }

    /// Waits until the server has sent so many NOOPs.
    pub(crate) fn await_noops(&self, number: usize) {
        let begun = Instant::now();
        while frames(&self.streams().1).iter().filter(|frame| **frame == Frame::Noop).count() < number {
            assert!(begun.elapsed() < Duration::from_mins(1), "the server does not say that it is there");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What came from the client, and from the server, behind the handshake.
    pub(crate) fn streams(&self) -> (Vec<u8>, Vec<u8>) {
        let client = self.shared.from_client.lock().unwrap().clone();
        let server = self.shared.from_server.lock().unwrap().clone();
        if server[..4] == MANIFEST {
            let (_, length) = Manifest::parse(&server[4..]).unwrap();
            // 20 bytes of offer, 5 of choice.
            return (client[25..].to_vec(), server[4 + length..].to_vec());
        }
        (client[20..].to_vec(), server[4..].to_vec())
    }
}

/// The frames of a stream of chunks.
pub(crate) fn frames(stream: &[u8]) -> Vec<Frame> {
    let (mut dechunker, mut rest) = (Dechunker::new(1 << 30), stream);
    std::iter::from_fn(|| dechunker.take(&mut rest).unwrap()).collect()
}

fn to_server(mut client: TcpStream, mut server: TcpStream, shared: &Shared) {
    let mut first = shared.offer;
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        let bytes = &mut buffer[..length];
        if let Some(version) = first.take() {
            assert_eq!(bytes[..4], MAGIC);
            bytes[4..20].fill(0);
            bytes[4..8].copy_from_slice(&version.bytes());
        }
        shared.from_client.lock().unwrap().extend_from_slice(bytes);
        if server.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

fn to_client(mut server: TcpStream, mut client: TcpStream, shared: &Shared) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = server.read(&mut buffer) {
        shared.from_server.lock().unwrap().extend_from_slice(&buffer[..length]);
        if !shared.deaf.load(Ordering::SeqCst) && client.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}
