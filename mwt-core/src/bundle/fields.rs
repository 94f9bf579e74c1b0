//! The fields of a header, read one after the other in postcard's encoding.
//!
//! Read by hand rather than by postcard for two reasons: an integer must be in its shortest encoding and within the
//! width that FORMAT.md gives it, whatever the target's `usize`; and on a microcontroller it takes less flash.

use crate::error::Error;

/// What is left to read.
///
/// A field that cannot be read is 0 or empty, and [`end`](Self::end) tells: one check for all fields is a third of the
/// code of one for each.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    failed: bool,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, failed: false }
    }

    /// An error unless every field could be read and nothing is left.
    pub(super) const fn end(&self) -> Result<(), Error> {
        match (self.failed, self.bytes) {
            (true, _) => Err(Error::Header),
            (_, []) => Ok(()),
            _ => Err(Error::HeaderTrailingBytes),
        }
    }

    /// Says that a field has a value that it cannot have.
    pub(super) const fn fail(&mut self) {
        self.failed = true;
    }

    #[inline(never)]
    pub(super) fn take(&mut self, len: usize) -> &'a [u8] {
        let Some((taken, rest)) = self.bytes.split_at_checked(len) else {
            self.fail();
            return &[];
        };
        self.bytes = rest;
        taken
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    /// An unsigned LEB128 of at most `bits` bits, in its shortest form.
    #[inline(never)]
    fn varint(&mut self, bits: u32) -> u64 {
        let mut value = 0u64;
        for shift in (0..bits).step_by(7) {
            let byte = self.byte();
            let group = u64::from(byte & 0x7f);
            value |= group << shift;
            if byte & 0x80 == 0 {
                // A last group of zeros says nothing, and of the last group only some bits fit.
                let shortest = byte != 0 || shift == 0;
                let room = bits - shift;
                if !shortest || (room < 7 && group >> room != 0) {
                    self.fail();
                }
                return value;
            }
        }
        self.fail();
        0
    }

    pub(super) fn u64(&mut self) -> u64 {
        self.varint(64)
    }

    pub(super) fn u32(&mut self) -> u32 {
        self.varint(32) as u32
    }

    /// A size: at most 32 bits on every target.
    pub(super) fn size(&mut self) -> usize {
        self.u32() as usize
    }

    /// The number of an enum's variant, which is below `variants`.
    #[inline(never)]
    pub(super) fn variant(&mut self, variants: u8) -> u8 {
        let variant = self.byte();
        if variant >= variants {
            self.fail();
        }
        variant
    }

    pub(super) fn bool(&mut self) -> bool {
        self.variant(2) == 1
    }

    #[inline(never)]
    pub(super) fn f32(&mut self) -> f32 {
        f32::from_le_bytes(self.take(4).as_array().copied().unwrap_or_default())
    }

    #[inline(never)]
    pub(super) fn str(&mut self) -> &'a str {
        let len = self.size();
        core::str::from_utf8(self.take(len)).unwrap_or_else(|_| {
            self.fail();
            ""
        })
    }

    pub(super) fn optional_f32(&mut self) -> Option<f32> {
        self.bool().then(|| self.f32())
    }
}

/// The same fields, written.
#[cfg(feature = "alloc")]
#[derive(Debug, Default)]
pub(super) struct FieldsMut(pub(super) alloc::vec::Vec<u8>);

#[cfg(feature = "alloc")]
impl FieldsMut {
    pub(super) fn u64(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(super) fn size(&mut self, value: usize) {
        self.u64(value as u64);
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn f32(&mut self, value: f32) {
        self.0.extend(value.to_le_bytes());
    }

    pub(super) fn str(&mut self, text: &str) {
        self.size(text.len());
        self.0.extend(text.as_bytes());
    }

    pub(super) fn optional_f32(&mut self, value: Option<f32>) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            self.f32(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `read` makes of the bytes, all of which it must take.
    fn read<'a, T>(bytes: &'a [u8], read: impl Fn(&mut Fields<'a>) -> T) -> Result<T, Error> {
        let mut fields = Fields::new(bytes);
        let value = read(&mut fields);
        fields.end().map(|()| value)
    }

    #[test]
    fn only_the_shortest_encoding_is_read() {
        for value in [0, 1, 127, 128, 300, 1 << 32, u64::MAX] {
            let mut fields = FieldsMut::default();
            fields.u64(value);
            assert_eq!(fields.0, postcard::to_allocvec(&value).unwrap());
            assert_eq!(read(&fields.0, Fields::u64), Ok(value));
            // Padded with a group of zeros.
            *fields.0.last_mut().unwrap() |= 0x80;
            fields.0.push(0);
            assert_eq!(read(&fields.0, Fields::u64), Err(Error::Header), "{value}");
        }
        // One bit too many, one group too many, and one too few.
        let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        for bytes in [&most[..], &[0x80; 11], &[0x80], &[]] {
            assert_eq!(read(bytes, Fields::u64), Err(Error::Header), "{bytes:?}");
        }
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f], Fields::u32), Ok(u32::MAX));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x10], Fields::u32), Err(Error::Header));
        assert_eq!(read(&[2], Fields::bool), Err(Error::Header));
        assert_eq!(read(&[1, 0xff], Fields::str), Err(Error::Header));
        assert_eq!(read(&[2, b'a'], Fields::str), Err(Error::Header));
        assert_eq!(read(&[2, b'a', b'b'], Fields::str), Ok("ab"));
        assert_eq!(read(&[0, 1], Fields::byte), Err(Error::HeaderTrailingBytes));
        assert_eq!(read(&[0], Fields::optional_f32), Ok(None));
    }
}
