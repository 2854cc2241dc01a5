//! What sealing a packet looks at, fetched before: see `crate::pump::ahead`. Hints only.

use super::Transport;
use crate::pump::ahead::fetch;

impl Transport {
    /// Something is sealed soon.
    pub(crate) fn fetch(&self) {
        fetch(&self.ended);
        fetch(&self.media);
        self.ice.fetch();
    }

    /// As `fetch`, which was asked before, for what lies further away.
    pub(crate) fn fetch_keys(&self) {
        if let Some(media) = &self.media {
            fetch(&media.0.rtp);
        }
    }

    /// A report is opened now.
    pub(crate) fn fetch_opening(&self) {
        if let Some(media) = &self.media {
            fetch(&media.1.rtcp);
            fetch(&media.1.reports);
        }
    }
}
