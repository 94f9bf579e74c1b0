//! The caller's memory as slices.

use core::slice;

use crate::status::Status;

/// The bytes behind `data`, unless it is null.
///
/// # Safety
/// `data` is null or points to `len` bytes that nothing writes to during `'a`.
pub(crate) unsafe fn bytes<'a>(data: *const u8, len: usize) -> Result<&'a [u8], Status> {
    if data.is_null() {
        return Err(Status::Pointer);
    }
    // SAFETY: not null, and the caller vouches for the rest.
    Ok(unsafe { slice::from_raw_parts(data, len) })
}

/// The f32 values behind `data`, unless it is null or not aligned.
///
/// # Safety
/// `data` is null or points to `bytes` bytes that nothing else reads or writes during `'a`.
pub(crate) unsafe fn values<'a>(data: *mut f32, bytes: usize) -> Result<&'a mut [f32], Status> {
    if data.is_null() || !data.is_aligned() {
        return Err(Status::Pointer);
    }
    // SAFETY: not null, aligned, any bits are an f32, and the caller vouches for the rest.
    Ok(unsafe { slice::from_raw_parts_mut(data, bytes / size_of::<f32>()) })
}

/// The `len` values behind `data`, unless it is null or not aligned.
///
/// # Safety
/// `data` is null or points to `len` values, for which any bits are one, that nothing writes to during `'a`.
pub(crate) unsafe fn array<'a, T>(data: *const T, len: usize) -> Result<&'a [T], Status> {
    if data.is_null() || !data.is_aligned() {
        return Err(Status::Pointer);
    }
    // SAFETY: not null, aligned, and the caller vouches for the rest.
    Ok(unsafe { slice::from_raw_parts(data, len) })
}

/// The `len` values behind `data` to write, unless it is null or not aligned.
///
/// # Safety
/// `data` is null or points to `len` values, for which any bits are one, that nothing else reads or writes during `'a`.
pub(crate) unsafe fn array_mut<'a, T>(data: *mut T, len: usize) -> Result<&'a mut [T], Status> {
    if data.is_null() || !data.is_aligned() {
        return Err(Status::Pointer);
    }
    // SAFETY: not null, aligned, and the caller vouches for the rest.
    Ok(unsafe { slice::from_raw_parts_mut(data, len) })
}
