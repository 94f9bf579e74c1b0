//! mwt-infer as a page calls it: one model, one fit at a time, numbers and text in buffers of the module's memory.
//!
//! A page has one thread, and so the module one state. Calls that can fail say so by what they return, and leave the
//! reason as text. `page/mwt.js` is the other half.

mod model;

use std::cell::RefCell;

use model::Model;

/// What the page and the module hand to each other.
#[derive(Default)]
struct Page {
    bundle: Vec<u8>,
    /// The signal, position after position, channels interleaved; NaN where a sample is missing.
    input: Vec<f32>,
    output: Vec<f32>,
    text: String,
    model: Option<Model>,
}

thread_local! {
    static PAGE: RefCell<Page> = RefCell::default();
}

fn with<T>(call: impl FnOnce(&mut Page) -> T) -> T {
    PAGE.with_borrow_mut(call)
}

impl Page {
    /// What a call gives; where it fails, `failed`, and why as text.
    fn try_with<T>(
        &mut self,
        failed: T,
        call: impl FnOnce(&mut Model, &mut Vec<f32>, &mut Vec<f32>) -> Result<T, mwt_infer::Error>,
    ) -> T {
        let Some(model) = &mut self.model else {
            self.text = "no model is loaded".to_owned();
            return failed;
        };
        call(model, &mut self.input, &mut self.output).unwrap_or_else(|e| {
            self.text = e.to_string();
            failed
        })
    }
}

/// Where the bytes of a bundle go, before `load`.
#[unsafe(no_mangle)]
pub extern "C" fn bundle_buffer(bytes: usize) -> *mut u8 {
    with(|page| {
        page.bundle = vec![0; bytes];
        page.bundle.as_mut_ptr()
    })
}

/// Parses the bundle: 1, or 0 when it is refused; the model before stays then. The text is what `Model::describe` says.
#[unsafe(no_mangle)]
pub extern "C" fn load() -> i32 {
    with(|page| match Model::new(std::mem::take(&mut page.bundle)) {
        Ok(model) => {
            page.input = vec![0.0; model.numbers()];
            page.text = model.describe();
            page.model = Some(model);
            1
        }
        Err(e) => {
            page.text = e.to_string();
            0
        }
    })
}

/// The text that the last call left: where it begins.
#[unsafe(no_mangle)]
pub extern "C" fn text() -> *const u8 {
    with(|page| page.text.as_ptr())
}

/// Its length in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn text_len() -> usize {
    with(|page| page.text.len())
}

/// Where the numbers of the signal go.
#[unsafe(no_mangle)]
pub extern "C" fn input() -> *mut f32 {
    with(|page| page.input.as_mut_ptr())
}

/// The numbers of a call that gives several.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const f32 {
    with(|page| page.output.as_ptr())
}

/// The signal of a golden sample into the output: how many numbers, or 0 when there is no such sample.
#[unsafe(no_mangle)]
pub extern "C" fn golden(index: usize) -> usize {
    with(|page| page.try_with(0, |model, _, output| Ok(model.golden(index, output))))
}

/// Starts a fit.
#[unsafe(no_mangle)]
pub extern "C" fn begin() {
    with(|page| {
        if let Some(model) = &mut page.model {
            model.begin();
        }
    });
}

/// Takes the next step on the input: 1, 0 when all are taken, -1 when it failed.
#[unsafe(no_mangle)]
pub extern "C" fn step() -> i32 {
    with(|page| page.try_with(-1, |model, input, _| Ok(i32::from(model.step(input)?))))
}

/// K logits of the fit as it is, into the output: how many, or 0 when it failed.
#[unsafe(no_mangle)]
pub extern "C" fn logits() -> usize {
    with(|page| page.try_with(0, |model, _, output| model.logits(output)))
}

/// PSNR of the fit over all samples of the input, in dB; NaN when it failed.
#[unsafe(no_mangle)]
pub extern "C" fn psnr() -> f32 {
    with(|page| page.try_with(f32::NAN, |model, input, _| model.psnr(input)))
}

/// What the fit draws, at `scale` times the model's sides, into the output: how many numbers, or 0 when it failed.
#[unsafe(no_mangle)]
pub extern "C" fn reconstruct(scale: usize) -> usize {
    with(|page| page.try_with(0, |model, _, output| model.reconstruct(scale, output)))
}

/// Classifies the golden samples: how many, or -1 when one failed. The largest error of a logit is the output's first
/// number.
#[unsafe(no_mangle)]
pub extern "C" fn self_test() -> i32 {
    with(|page| page.try_with(-1, |model, _, output| model.self_test(output)))
}
