use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What happens at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The service is not available, and did nothing.
    Refuses,
    /// The service did it, and the answer was lost.
    LosesAnswer,
    /// The process dies before the service has the call.
    DiesBefore,
    /// The process dies when the service has done it.
    DiesAfter,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Refuses, Self::LosesAnswer, Self::DiesBefore, Self::DiesAfter];
}

#[derive(Debug, Default)]
struct Plan {
    calls: AtomicUsize,
    at: Mutex<Option<(usize, Fault)>>,
}

/// Counts the calls to the fakes that share it, and makes one of them go wrong.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Plan>);

impl Faults {
    /// Makes the `n`-th call from now go wrong, counted from 0.
    pub fn plan(&self, n: usize, fault: Fault) {
        *self.0.at.lock().unwrap() = Some((n.saturating_add(self.calls()), fault));
    }

    /// Nothing goes wrong any more.
    pub fn clear(&self) {
        *self.0.at.lock().unwrap() = None;
    }

    /// How many calls there were.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    fn next(&self) -> Option<Fault> {
        let call = self.0.calls.fetch_add(1, Ordering::SeqCst);
        self.0.at.lock().unwrap().filter(|(n, _)| *n == call).map(|(_, fault)| fault)
    }

    /// Runs one call of a fake. A process that dies is a future that never goes on: whoever drives it gives up and drops it.
    pub(crate) async fn call<T, E>(
        &self,
        unavailable: impl FnOnce() -> E,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        // Every call is a point at which others may go on, as with a real one.
        tokio::task::yield_now().await;
        let fault = self.next();
        match fault {
            Some(Fault::Refuses) => return Err(unavailable()),
            Some(Fault::DiesBefore) => std::future::pending::<()>().await,
            _ => {}
        }
        let done = work();
        match fault {
            Some(Fault::LosesAnswer) => Err(unavailable()),
            Some(Fault::DiesAfter) => std::future::pending().await,
            _ => done,
        }
    }
}
