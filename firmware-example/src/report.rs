//! What is printed: one line for each fact, made for people and for the tests that read it.

use core::fmt;

use mwt_infer::{Bundle, Classifier, Error, SelfTest};
use semihosting::{print, println};

/// Name, storage and memory.
pub fn model(bundle: &Bundle<'_>, workspace: usize) {
    let (facts, bytes) = (bundle.header().facts, bundle.bytes());
    println!("model {} bundle {bytes} workspace {workspace} bytes", facts.data_set);
}

/// The result of the bundle's self-test.
pub fn self_test(test: &SelfTest) {
    let SelfTest { samples, max_error } = *test;
    println!("self-test {samples} samples max-error {}", Fixed(max_error, 6));
}

/// One classified image: the class, how sure, how well it was fitted, what each phase took, and the logits as bits.
pub fn image(
    classifier: &mut Classifier<'_, '_>,
    kind: &str,
    n: usize,
    psnr: f32,
    unit: &str,
    phases: &[(&str, u64)],
) -> Result<(), Error> {
    if let [best] = *classifier.top_k::<1>()? {
        let label = classifier.bundle().header().label(best.class);
        let probability = Fixed(100.0 * best.probability, 2);
        print!("{kind} {n} class {} ({label}) {probability} % {} dB", best.class, Fixed(psnr, 2));
    }
    print!(" {unit}");
    phases.iter().for_each(|(phase, count)| print!(" {phase} {count}"));
    print!(" ");
    bits("logits", classifier.logits()?);
    Ok(())
}

/// Values as bits, so that a host can compare them exactly.
pub fn bits(name: &str, values: &[f32]) {
    print!("{name}");
    values.iter().for_each(|value| print!(" {:08x}", value.to_bits()));
    println!();
}

/// Ends the program: with a line and status 1 where something failed.
pub fn end(result: Result<(), Failure>) -> ! {
    if let Err(failure) = &result {
        println!("failed: {failure}");
    }
    semihosting::process::exit(i32::from(result.is_err()))
}

/// A value with a fixed number of decimals: formatting it as an integer spares the 20 KB that `f32`'s own
/// formatting takes.
struct Fixed(f32, u32);

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = 10u32.pow(self.1);
        let sign = if self.0 < 0.0 { "-" } else { "" };
        // Saturates, so that even an infinite PSNR prints.
        let value = (self.0.abs() * one as f32 + 0.5) as u32;
        write!(f, "{sign}{}.{:02$}", value / one, value % one, self.1 as usize)
    }
}

/// Why the program ended early.
pub enum Failure {
    /// The bundle or an image.
    Mwt(mwt_infer::Error),
    /// The file.
    File(semihosting::io::Error),
}

impl From<mwt_infer::Error> for Failure {
    fn from(error: mwt_infer::Error) -> Self {
        Self::Mwt(error)
    }
}

impl From<mwt_infer::mwt_core::Error> for Failure {
    fn from(error: mwt_infer::mwt_core::Error) -> Self {
        Self::Mwt(error.into())
    }
}

impl From<semihosting::io::Error> for Failure {
    fn from(error: semihosting::io::Error) -> Self {
        Self::File(error)
    }
}

impl From<semihosting::io::ErrorKind> for Failure {
    fn from(kind: semihosting::io::ErrorKind) -> Self {
        Self::File(kind.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mwt(error) => error.fmt(f),
            Self::File(error) => error.fmt(f),
        }
    }
}
