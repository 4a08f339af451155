//! All that exists while the server runs. One concrete struct: nothing is generic over its state.

use std::net::SocketAddr;
use std::sync::Arc;

use model::Clock;

use crate::api::{Failures, Limits};
use crate::lists::Lists;
use crate::samples::Samples;
use crate::sessions::Sessions;
use crate::store::{Home, Store};
use crate::tokens::Tokens;

/// All that handlers work with.
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) samples: Samples,
    pub(crate) lists: Lists,
    pub(crate) sessions: Sessions,
    pub(crate) tokens: Tokens,
    pub(crate) limits: Limits,
    pub(crate) failures: Failures,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) home: Home,
    /// Scheme and host under which callers reach us, without a slash at the end; if none, as they say.
    pub(crate) public_url: Option<String>,
    /// Where the API is served.
    pub(crate) address: SocketAddr,
}
