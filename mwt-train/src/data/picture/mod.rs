//! From the bytes of a picture's file to the pixels that a person sees in it: upright, opaque, whole.

mod alpha;
mod jpeg;
pub(crate) mod kind;
mod open;
mod png_exif;
mod tally;
mod view;

pub(super) use open::{Header, OpenError, decode, header};
pub(super) use tally::Tally;
pub(crate) use view::border;
pub use view::{Remark, View};
