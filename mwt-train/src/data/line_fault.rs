//! What can be wrong with a line of a text file.

/// Why a line could not be read; a part of [`DataError::Line`](super::DataError::Line).
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
pub enum LineFault {
    /// No number where one should be.
    #[error("`{0}` is not a number")]
    Number(String),

    /// No time where one should be.
    #[error("`{0}` is neither a number nor a date such as 2007-01-31 23:59:59")]
    Time(String),

    /// No pair of a time and a value where one should be.
    #[error("`{0}` is not of the form (time,value)")]
    Stamp(String),

    /// Some values of a file have times, others have none.
    #[error("values with times and without are mixed")]
    MixedStamps,

    /// A class that the header does not name.
    #[error("class `{0}` is not among those that the header of the training file names")]
    Class(String),

    /// Another number of channels than in the lines before.
    #[error("{found} channels where {expected} are expected")]
    Channels {
        /// Channels of this line.
        found: usize,
        /// Channels of the others.
        expected: usize,
    },

    /// A header without classes.
    #[error("the header names no classes, as `@classLabel true a b` would")]
    NoClasses,

    /// Targets in place of classes.
    #[error("the series have numbers to predict (@targetLabel) and no classes")]
    NotClasses,

    /// Text where a tag of the header should be.
    #[error("`{0}` stands before @data and is no tag of the header")]
    NoTag(String),

    /// The file ends too early.
    #[error("the file ends where {0} should follow")]
    Ends(&'static str),

    /// A mesh that does not begin as one.
    #[error("`{0}` where the word OFF should begin the file")]
    NotOff(String),

    /// A vertex without all of its three coordinates.
    #[error("a vertex needs three coordinates of at most 1e30")]
    Vertex,

    /// A face names a vertex that is not there.
    #[error("vertex {vertex} (from 0) where there are {vertices}")]
    NoVertex {
        /// The vertex named.
        vertex: usize,
        /// Vertices of the mesh.
        vertices: usize,
    },

    /// A face with fewer corners than it says.
    #[error("{found} corners where {expected} are promised")]
    Corners {
        /// Corners on the line.
        found: usize,
        /// Corners that the line begins with.
        expected: usize,
    },
}

/// The beginning of a text from a file, fit for a line of a message.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 40;
    let mut short: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt("1.5"), "1.5");
        assert_eq!(excerpt("a\nb\u{1b}"), "a\\nb\\u{1b}");
        assert_eq!(excerpt(&"é".repeat(41)), format!("{}...", "é".repeat(40)));
    }
}
