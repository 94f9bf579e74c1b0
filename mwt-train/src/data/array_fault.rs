//! What can be wrong with an array of a file of NumPy.

use std::io;

/// Why an array could not be read; a part of [`DataError::Array`](super::DataError::Array).
#[derive(thiserror::Error, Debug)]
pub enum ArrayFault {
    /// The bytes end early, or the archive is damaged.
    #[error("{0}; write the archive again")]
    Io(io::Error),

    /// No array, or one of an unknown version.
    #[error("does not begin as an npy file of version 1 to 3")]
    NotNpy,

    /// A header that is not as NumPy writes it.
    #[error("its header `{0}` is not as NumPy writes it")]
    Header(String),

    /// A type of elements that is not read here.
    #[error(
        "elements of type `{0}` are not read; write values as float32, float64 or integers, labels as \
         integers or text"
    )]
    Kind(String),

    /// Another number of bytes than the header's shape has.
    #[error("{found} bytes where its header promises {expected}; write the archive again")]
    Length {
        /// Bytes that are there.
        found: u64,
        /// Bytes of header and elements.
        expected: u64,
    },

    /// Axes of values that have no meaning.
    #[error(
        "shape {0:?} is none of [N, T], [N, C, T], [N, C, H, W] and [N, C, D, H, W], with N and C above \
         0"
    )]
    Axes(Vec<usize>),

    /// Axes of images that have no meaning.
    #[error("shape {} is neither [N, H, W] nor [N, H, W, C] with C 1 or 3", tuple(.0))]
    ImageAxes(Vec<usize>),

    /// Training and test signals differ in shape.
    #[error("signals of shape {found:?} where those to train on have {expected:?}")]
    Shape {
        /// Shape of the test signals, without N.
        found: Vec<usize>,
        /// Shape of the training signals, without N.
        expected: Vec<usize>,
    },

    /// Labels and signals differ in number.
    #[error("shape {found:?} where a label for each of {signals} signals is expected")]
    Labels {
        /// Shape of the labels.
        found: Vec<usize>,
        /// Number of signals.
        signals: usize,
    },

    /// A value that no model can take.
    #[error("a value of signal {signal} (from 0) is infinite or beyond f32; missing ones are NaN")]
    Infinite {
        /// The signal.
        signal: usize,
    },

    /// A label that is neither a whole number nor text.
    #[error("label {index} (from 0) is neither a whole number nor text")]
    Label {
        /// Which label.
        index: usize,
    },

    /// A class that the training labels do not have.
    #[error("class `{0}` is not among the training labels")]
    Class(String),

    /// More classes than a label can tell apart.
    #[error("more than 65536 different labels; merge or remove some")]
    TooManyClasses,
}

/// A shape as NumPy writes it.
fn tuple(shape: &[usize]) -> String {
    let sides: Vec<_> = shape.iter().map(usize::to_string).collect();
    format!("({})", sides.join(", "))
}
