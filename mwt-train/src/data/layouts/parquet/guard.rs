//! What the reader of parquet files does with damaged ones: some make it panic, which here is an error like any other.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::Path;
use std::sync::Once;

use parquet::errors::ParquetError;

use crate::data::error::DataError;
use crate::util::text::one_line;

thread_local! {
    /// Whether this thread is inside the reader, and no panic of its own need be shown.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Calls the reader; what it says of a file, or panics over, is an error with the file's path.
pub(super) fn guarded<T>(
    path: &Path,
    call: impl FnOnce() -> Result<T, ParquetError>,
) -> Result<T, DataError> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if !INSIDE.get() {
                before(panic);
            }
        }));
    });
    INSIDE.set(true);
    // What the call was working on is dropped with the error.
    let result = catch_unwind(AssertUnwindSafe(call));
    INSIDE.set(false);
    let reason = match result {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(reason)) => one_line(&reason),
        Err(panic) => format!("damaged ({})", said(&*panic)),
    };
    Err(DataError::Parquet { path: path.into(), reason })
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    one_line(&text.unwrap_or("no reason"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_of_one_line() {
        let path = Path::new("a.parquet");
        let error = guarded(path, || -> Result<(), _> { panic!("one\ntwo {}", 3) }).unwrap_err();
        let line = "a.parquet: not a readable parquet file: damaged (one two 3); download it again";
        assert_eq!(error.to_string(), line);
        let error = guarded(path, || -> Result<(), _> { Err(ParquetError::EOF("x".into())) });
        assert!(error.unwrap_err().to_string().contains("file: EOF: x;"));
        assert_eq!(guarded(path, || Ok(3)).unwrap(), 3);
    }
}
