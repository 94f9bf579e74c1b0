//! What becomes of numbers that training never saw.

use crate::error::Error;

/// What a classifier does with a value that is further from 0 than some limit.
///
/// Values are numbers as the model's input scaling makes them: in [-1, 1] lie a picture's bytes, and of other signals what is
/// within three standard deviations of the mean that the training data had. A value far outside is most often a number in
/// another unit, or a sensor at its stop; the fit would follow it, and the answer be of no use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    /// Takes every finite value.
    Any,
    /// Refuses a signal in which a value is further from 0: [`Error::OutOfRange`].
    Refused(f32),
    /// Takes the limit in place of a value beyond it.
    Clamped(f32),
}

impl Range {
    /// The rule unless another is chosen: beyond 10, thirty standard deviations of a series, numbers are of another unit.
    pub const USUAL: Self = Self::Refused(10.0);

    /// Applies the rule to a sample.
    pub(crate) fn apply(self, values: &mut [f32]) -> Result<(), Error> {
        match self {
            Self::Refused(limit) if values.iter().any(|v| v.abs() > limit) => {
                Err(Error::OutOfRange)
            }
            Self::Clamped(limit) => {
                // Comparisons, as `clamp` panics where the limit is none.
                for v in values {
                    *v = if *v > limit {
                        limit
                    } else if *v < -limit {
                        -limit
                    } else {
                        *v
                    };
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Default for Range {
    fn default() -> Self {
        Self::USUAL
    }
}
