//! Which library this is.

/// First part of the version that this header belongs to.
pub const VERSION_MAJOR: u32 = 0;
/// Second part; before 1.0 programs must be compiled anew where it changes.
pub const VERSION_MINOR: u32 = 1;
/// Third part.
pub const VERSION_PATCH: u32 = 0;

/// The library's version: major · 65536 + minor · 256 + patch.
///
/// A program may be linked with a library of another patch than its header's, and from 1.0 on of a later minor version: names,
/// numbers of statuses and layouts of structures stay, new ones are added. Before 1.0 the minor version counts as the major one.
#[unsafe(no_mangle)]
pub extern "C" fn mwt_version() -> u32 {
    VERSION_MAJOR << 16 | VERSION_MINOR << 8 | VERSION_PATCH
}

#[cfg(test)]
mod tests {
    #[test]
    fn is_the_packages_version() {
        let parts = [super::VERSION_MAJOR, super::VERSION_MINOR, super::VERSION_PATCH];
        assert_eq!(parts.map(|part| part.to_string()).join("."), env!("CARGO_PKG_VERSION"));
    }
}
