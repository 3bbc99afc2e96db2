//! Sockets in the file system: the room for their names, and who is at the other end, as the kernel tells it
//! (`SO_PEERCRED`).

use std::os::unix::net::UnixStream;

use nix::sys::socket::{getsockopt, sockopt};

/// What the kernel has room for in an address (`sockaddr_un`), without the end.
pub(crate) const PATH_LENGTH_MAX: usize = 107;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    /// `None`: a process of another pid namespace, which has no number in ours.
    pub(crate) pid: Option<u32>,
    pub(crate) uid: u32,
}

pub(crate) fn of(stream: &UnixStream) -> std::io::Result<Peer> {
    let seen = getsockopt(stream, sockopt::PeerCredentials)?;
    Ok(Peer { pid: u32::try_from(seen.pid()).ok().filter(|pid| *pid != 0), uid: seen.uid() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_seen_as_who_we_are() {
        let (one, _other) = UnixStream::pair().unwrap();
        let uid = rustix::process::getuid().as_raw();
        assert_eq!(of(&one).unwrap(), Peer { pid: Some(std::process::id()), uid });
    }
}
