//! A gate that somebody can shut: who comes to it waits until it is open. Behind one, a process is as good as frozen.

use tokio::sync::watch;

/// The gate. Clones are the same gate.
#[derive(Clone)]
pub(crate) struct Gate(watch::Sender<bool>);

impl Gate {
    pub(crate) fn open() -> Self {
        Self(watch::Sender::new(true))
    }

    pub(crate) fn set(&self, open: bool) {
        self.0.send_replace(open);
    }

    pub(crate) fn is_open(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is open.
    pub(crate) async fn pass(&self) {
        let mut state = self.0.subscribe();
        // The sender is `self`.
        let _ = state.wait_for(|open| *open).await;
    }
}
