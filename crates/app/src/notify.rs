//! Words to the service manager (systemd's `sd_notify`). Without one they go nowhere.

use std::time::Duration;

use sd_notify::NotifyState;

/// What is asked of us is heard, and what we are for has begun.
pub(crate) fn ready() {
    say(&[NotifyState::Ready]);
}

/// The settings are read anew; [`ready`] says that it is done.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => say(&[NotifyState::Reloading, now]),
        Err(_) => say(&[NotifyState::Reloading]),
    }
}

pub(crate) fn stopping() {
    say(&[NotifyState::Stopping]);
}

/// What is under way ends, but not soon.
pub(crate) fn longer(time: Duration) {
    say(&[NotifyState::ExtendTimeoutUsec(u32::try_from(time.as_micros()).unwrap_or(u32::MAX))]);
}

/// We live.
pub(crate) fn alive() {
    say(&[NotifyState::Watchdog]);
}

/// How often [`alive`] has to be said; `None`: nobody waits for it.
pub(crate) fn watchdog_interval() -> Option<Duration> {
    // Half of it, as the manual of sd_watchdog_enabled advises.
    sd_notify::watchdog_enabled().map(|longest| longest / 2)
}

/// A service manager that does not listen is no reason to fail.
fn say(words: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(words);
}
