//! One array as NumPy writes it: a header that tells type, order and shape, then the elements.
//!
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html> defines it. Read here
//! rather than by a crate: those at hand read the header with a parser of all Python literals, whose
//! depth an untrusted file decides.

use std::io::Read;

use crate::data::array_fault::ArrayFault;
use crate::data::line_fault::excerpt;

/// The longest header; NumPy's own are below 1 KiB.
const HEADER: usize = 1 << 16;
/// The longest text of an element, in characters.
const TEXT: usize = 1_024;
/// Elements read at a time.
const BLOCK: u64 = 4_096;

/// What an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A float of 4 or 8 bytes.
    Float(usize),
    /// An integer of 1, 2, 4 or 8 bytes, with a sign.
    Signed(usize),
    /// An integer of 1, 2, 4 or 8 bytes, without; or a boolean.
    Unsigned(usize),
    /// So many characters of 4 bytes, with zeros behind the end.
    Text(usize),
    /// So many bytes of text, with zeros behind the end.
    Bytes(usize),
}

impl Kind {
    /// Bytes of an element.
    fn size(self) -> usize {
        match self {
            Kind::Float(size) | Kind::Signed(size) | Kind::Unsigned(size) => size,
            Kind::Text(characters) => 4 * characters,
            Kind::Bytes(size) => size,
        }
    }

    /// From NumPy's name for it, without the order of bytes.
    fn of(name: &str) -> Option<Self> {
        let size = name.get(1..)?.parse::<usize>().ok()?;
        match (name.get(..1)?, size) {
            ("f", 4 | 8) => Some(Kind::Float(size)),
            ("i", 1 | 2 | 4 | 8) => Some(Kind::Signed(size)),
            ("u", 1 | 2 | 4 | 8) | ("b", 1) => Some(Kind::Unsigned(size)),
            ("U", 1..=TEXT) => Some(Kind::Text(size)),
            ("S", 1..=TEXT) => Some(Kind::Bytes(size)),
            _ => None,
        }
    }
}

/// An element.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Element {
    Float(f64),
    Whole(i128),
    Text(String),
    /// Text that is none.
    Invalid,
}

/// An array whose header was read and whose elements come next.
pub(super) struct Npy<R> {
    reader: R,
    pub(super) kind: Kind,
    big_endian: bool,
    /// Whether the first axis is the fastest, in place of the last.
    pub(super) fortran: bool,
    pub(super) shape: Vec<usize>,
    /// Number of elements.
    pub(super) count: u64,
}

impl<R: Read> Npy<R> {
    /// Reads the header of an array of `bytes` bytes, header and all.
    pub(super) fn open(mut reader: R, bytes: u64) -> Result<Self, ArrayFault> {
        let mut start = [0; 8];
        reader.read_exact(&mut start).map_err(|_| ArrayFault::NotNpy)?;
        let length_bytes = match start {
            [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _] => 2,
            [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _] => 4,
            _ => return Err(ArrayFault::NotNpy),
        };
        let mut length = [0; 4];
        reader.read_exact(&mut length[..length_bytes]).map_err(ArrayFault::Io)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > HEADER {
            return Err(ArrayFault::Header(format!("of {length} bytes")));
        }
        let mut text = vec![0; length];
        reader.read_exact(&mut text).map_err(ArrayFault::Io)?;
        let text = String::from_utf8_lossy(&text);
        let header = Header::parse(&text);
        let header = header.ok_or_else(|| ArrayFault::Header(excerpt(text.trim())))?;

        // `|` where the order of bytes has no meaning; `=` is never written.
        let kind = header.kind.strip_prefix(['<', '>', '|']).and_then(Kind::of);
        let kind = kind.ok_or_else(|| ArrayFault::Kind(excerpt(header.kind)))?;
        let count = header.shape.iter().fold(1u64, |n, side| n.saturating_mul(*side as u64));
        // A product that saturates is more than any file holds.
        let expected = count
            .saturating_mul(kind.size() as u64)
            .saturating_add((start.len() + length_bytes + length) as u64);
        if expected != bytes {
            return Err(ArrayFault::Length { found: bytes, expected });
        }
        Ok(Npy {
            reader,
            kind,
            big_endian: header.kind.starts_with('>'),
            fortran: header.fortran,
            shape: header.shape,
            count,
        })
    }

    /// Gives the first `count` elements, in the order in which they are stored, each with its place.
    pub(super) fn read(
        mut self,
        count: u64,
        mut take: impl FnMut(u64, Element) -> Result<(), ArrayFault>,
    ) -> Result<(), ArrayFault> {
        let size = self.kind.size();
        let mut block = Vec::new();
        let count = count.min(self.count);
        let mut place = 0;
        while place < count {
            let now = (count - place).min(BLOCK);
            block.resize(now as usize * size, 0);
            self.reader.read_exact(&mut block).map_err(ArrayFault::Io)?;
            for bytes in block.chunks_exact(size) {
                take(place, self.element(bytes))?;
                place += 1;
            }
        }
        if count == self.count {
            // Archives compare their checksum when they are asked for more than there is.
            self.reader.read(&mut [0]).map_err(ArrayFault::Io)?;
        }
        Ok(())
    }

    fn element(&self, bytes: &[u8]) -> Element {
        // The number's bytes, the lowest first, with zeros above.
        let number = |bytes: &[u8]| {
            let mut low_first = [0; 8];
            for (i, byte) in bytes.iter().enumerate().take(8) {
                low_first[if self.big_endian { bytes.len() - 1 - i } else { i }] = *byte;
            }
            u64::from_le_bytes(low_first)
        };
        match self.kind {
            Kind::Float(4) => Element::Float(f32::from_bits(number(bytes) as u32).into()),
            Kind::Float(_) => Element::Float(f64::from_bits(number(bytes))),
            Kind::Unsigned(_) => Element::Whole(number(bytes).into()),
            Kind::Signed(size) => {
                let unused = 64 - 8 * size as u32;
                // There and back again, so that the sign fills the bits above.
                Element::Whole((((number(bytes) << unused) as i64) >> unused).into())
            }
            Kind::Text(_) => {
                let codes = bytes.chunks_exact(4).map(|code| number(code) as u32);
                let text: Option<String> = codes.map(char::from_u32).collect();
                text.map_or(Element::Invalid, |text| Element::Text(trim(&text)))
            }
            Kind::Bytes(_) => match std::str::from_utf8(bytes) {
                Ok(text) => Element::Text(trim(text)),
                Err(_) => Element::Invalid,
            },
        }
    }
}

/// The place in C's order, the last axis the fastest, of what is stored as number `stored` in Fortran's.
pub(super) fn c_place(stored: usize, shape: &[usize]) -> usize {
    let (mut rest, mut place, mut step) = (stored, 0, shape.iter().product::<usize>());
    for side in shape {
        step /= side;
        place += rest % side * step;
        rest /= side;
    }
    place
}

/// Without the zeros behind the end.
fn trim(text: &str) -> String {
    text.trim_end_matches('\0').into()
}

/// What a header says.
struct Header<'a> {
    kind: &'a str,
    fortran: bool,
    shape: Vec<usize>,
}

impl<'a> Header<'a> {
    /// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
    fn parse(text: &'a str) -> Option<Self> {
        let mut rest = Rest(text);
        let (mut kind, mut fortran, mut shape) = (None, None, None);
        rest.token("{")?;
        while rest.token("}").is_none() {
            let key = rest.string()?;
            rest.token(":")?;
            match key {
                "descr" => kind = Some(rest.string()?),
                "fortran_order" => fortran = Some(rest.boolean()?),
                "shape" => shape = Some(rest.tuple()?),
                _ => return None,
            }
            rest.token(",");
        }
        Some(Header { kind: kind?, fortran: fortran?, shape: shape? })
    }
}

/// What of a header is not read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn token(&mut self, token: &str) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(token)?;
        Some(())
    }

    fn string(&mut self) -> Option<&'a str> {
        let quote =
            if self.token("'").is_some() { '\'' } else { self.token("\"").map(|()| '"')? };
        let (string, rest) = self.0.split_once(quote)?;
        self.0 = rest;
        Some(string)
    }

    fn boolean(&mut self) -> Option<bool> {
        if self.token("True").is_some() { Some(true) } else { self.token("False").map(|()| false) }
    }

    fn tuple(&mut self) -> Option<Vec<usize>> {
        self.token("(")?;
        let (numbers, rest) = self.0.split_once(')')?;
        self.0 = rest;
        let numbers = numbers.trim().trim_end_matches(',');
        match numbers {
            "" => Some(Vec::new()),
            _ => numbers.split(',').map(|number| number.trim().parse().ok()).collect(),
        }
    }
}

/// An array for tests, of version 1.
#[cfg(test)]
pub(super) fn bytes(kind: &str, fortran: bool, shape: &str, elements: &[u8]) -> Vec<u8> {
    let fortran = if fortran { "True" } else { "False" };
    let header =
        format!("{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': {shape}, }}     \n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(elements);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(kind: &str, count: usize, stored: &[u8]) -> Vec<Element> {
        let bytes = bytes(kind, false, &format!("({count},)"), stored);
        let npy = Npy::open(bytes.as_slice(), bytes.len() as u64).unwrap();
        assert_eq!((npy.shape.as_slice(), npy.count), ([count].as_slice(), count as u64));
        let mut elements = Vec::new();
        npy.read(u64::MAX, |place, element| {
            assert_eq!(place, elements.len() as u64);
            elements.push(element);
            Ok(())
        })
        .unwrap();
        elements
    }

    fn fault(bytes: &[u8]) -> String {
        Npy::open(bytes, bytes.len() as u64).err().unwrap().to_string()
    }

    #[test]
    fn numbers_of_either_order_of_bytes_are_read() {
        let whole =
            |numbers: &[i128]| numbers.iter().map(|n| Element::Whole(*n)).collect::<Vec<_>>();
        assert_eq!(elements("|u1", 2, &[1, 255]), whole(&[1, 255]));
        assert_eq!(elements("|i1", 2, &[1, 255]), whole(&[1, -1]));
        assert_eq!(elements("|b1", 2, &[1, 0]), whole(&[1, 0]));
        assert_eq!(elements("<i2", 2, &[1, 2, 0, 0x80]), whole(&[0x201, -32_768]));
        assert_eq!(elements(">i2", 2, &[1, 2, 0x80, 0]), whole(&[0x102, -32_768]));
        assert_eq!(elements("<u8", 1, &[255; 8]), whole(&[u64::MAX.into()]));
        assert_eq!(elements("<i8", 1, &[255; 8]), whole(&[-1]));
        assert_eq!(elements("<f4", 1, &1.5f32.to_le_bytes()), [Element::Float(1.5)]);
        assert_eq!(elements(">f8", 1, &(-0.1f64).to_be_bytes()), [Element::Float(-0.1)]);
    }

    #[test]
    fn text_ends_at_its_zeros() {
        let text = |text: &str| Element::Text(text.into());
        let codes: Vec<u8> =
            ['é', 'b', '\0'].iter().flat_map(|c| (*c as u32).to_le_bytes()).collect();
        assert_eq!(elements("<U3", 1, &codes), [text("éb")]);
        assert_eq!(elements(">U1", 1, &[0, 0, 0, b'x']), [text("x")]);
        assert_eq!(elements("|S2", 2, b"ab\0\0"), [text("ab"), text("")]);
        assert_eq!(elements("<U1", 1, &[0, 0xd8, 0, 0]), [Element::Invalid]);
        assert_eq!(elements("|S1", 1, &[0xff]), [Element::Invalid]);
    }

    #[test]
    fn headers_of_all_versions_and_spellings_are_read() {
        let header = b"{\"shape\":(2 , 1),'fortran_order' :True,'descr':'|u1'}";
        let mut second = b"\x93NUMPY\x02\x00".to_vec();
        second.extend((header.len() as u32).to_le_bytes());
        second.extend(header);
        second.extend([7, 8]);
        let npy = Npy::open(second.as_slice(), second.len() as u64).unwrap();
        assert!(npy.fortran && npy.shape == [2, 1]);
        let scalar = bytes("<f4", false, "()", &[0; 4]);
        assert_eq!(Npy::open(scalar.as_slice(), scalar.len() as u64).unwrap().count, 1);
    }

    #[test]
    fn what_is_no_array_is_refused() {
        assert!(fault(b"").contains("does not begin"));
        assert!(fault(b"\x93NUMPY\x04\x00____").contains("does not begin"));
        let good = bytes("<f4", false, "(2, 1)", &[0; 8]);
        for end in 0..good.len() {
            fault(&good[..end]);
        }
        fault(&[good, vec![0]].concat());
        assert!(fault(&bytes("<f2", false, "(1,)", &[0; 2])).contains("`<f2`"));
        assert!(fault(&bytes("|O", false, "(1,)", &[0; 8])).contains("`|O`"));
        assert!(fault(&bytes("<U99999999", false, "(0,)", &[])).contains("`<U99999999`"));
        assert!(fault(&bytes("<é", false, "(0,)", &[])).contains("not read"));
        assert!(fault(&bytes("<f4", false, "(-1,)", &[])).contains("header"));
        assert!(fault(&bytes("<f4", false, "((1,),)", &[0; 4])).contains("header"));
        let huge = format!("({0}, {0}, {0})", usize::MAX);
        assert!(fault(&bytes("<f4", false, &huge, &[0; 4])).contains("promises"));
        assert!(fault(b"\x93NUMPY\x02\x00\xff\xff\xff\xff").contains("4294967295 bytes"));
    }
}
