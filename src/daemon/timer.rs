//! The loop's alarm clock: a timer of the kernel's that goes on while the machine is suspended, and wakes the process
//! once where the runtime's own timers wake it several times on the way to a distant instant.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// An alarm clock.
#[derive(Debug)]
pub(super) struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// A clock that is not set.
    ///
    /// # Errors
    ///
    /// When the kernel has no more descriptors.
    #[expect(
        deprecated,
        reason = "its successor is unsafe, for types that do not own their descriptor as this one does"
    )]
    pub(super) fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self(AsyncFd::with_interest(timer, Interest::READABLE)?))
    }

    /// Ends after `nap`. It may be dropped before, and set anew.
    ///
    /// # Errors
    ///
    /// When the timer fails.
    pub(super) async fn ring(&self, nap: Duration) -> io::Result<()> {
        // Zero would stop the timer.
        let nap = nap.max(Duration::from_nanos(1));
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let in_time =
            Timespec { tv_sec: i64::try_from(nap.as_secs()).unwrap_or(i64::MAX), tv_nsec: nap.subsec_nanos().into() };
        let setting = Itimerspec { it_interval: never, it_value: in_time };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &setting)?;
        loop {
            let mut ready = self.0.readable().await?;
            let rang = ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut [0; 8])?));
            // Where there was nothing to read it was the alarm of a nap that ended otherwise.
            if let Ok(rang) = rang {
                return rang.map(drop);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_rings_once_for_each_time_it_is_set() {
        let alarm = Alarm::new().unwrap();
        alarm.ring(Duration::ZERO).await.unwrap();
        let hour = Duration::from_secs(3600);
        // Set anew after it was dropped: neither the one before nor its ring counts.
        drop(tokio::time::timeout(Duration::from_millis(5), alarm.ring(Duration::from_millis(1))).await);
        let early = tokio::time::timeout(Duration::from_millis(50), alarm.ring(hour)).await;
        assert!(early.is_err(), "it rang an hour early");
        let began = tokio::time::Instant::now();
        alarm.ring(Duration::from_millis(20)).await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(20));
    }
}
