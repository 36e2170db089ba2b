//! Requests that arrive when nobody waits for them any more.

use tokio::sync::oneshot;

use crate::fault::Fault;

/// The proxy's end of a request that is late.
#[derive(Debug)]
pub struct Late {
    pub(crate) released: oneshot::Receiver<()>,
    pub(crate) answered: oneshot::Sender<Option<u16>>,
}

/// The test's end of a request that is late. When it is dropped, the request is lost.
#[derive(Debug)]
pub struct Release {
    release: oneshot::Sender<()>,
    answered: oneshot::Receiver<Option<u16>>,
}

impl Fault {
    /// Cuts the client's connection when the request is there, and forwards it only when the test
    /// releases it, whatever became of the client: a request that outlives a restart.
    #[must_use]
    pub fn late() -> (Self, Release) {
        let (release, released) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        (Self::Late(Late { released, answered: answer }), Release { release, answered })
    }
}

impl Release {
    /// Has the request forwarded, and waits until the upstream has answered; gives the status.
    /// `None` when the upstream could not be reached, or no request met this fault before the rules
    /// were reset.
    pub async fn forward(self) -> Option<u16> {
        self.release.send(()).ok();
        self.answered.await.ok().flatten()
    }
}
