//! A bundle that owns its bytes.

use mwt_infer::Bundle;
use self_cell::self_cell;

self_cell!(
    /// A bundle, parsed once, with the bytes that it borrows.
    pub(crate) struct Loaded {
        owner: Vec<u8>,
        #[covariant]
        dependent: Bundle,
    }
);
