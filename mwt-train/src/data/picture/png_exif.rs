//! Where a PNG says which way up it is: its Exif data, which may also lie behind the pixels, where decoders stop reading.

use std::io::{self, Read, Seek, SeekFrom};

use image::metadata::Orientation;

/// More than this no Exif data has; the rest of a longer chunk says nothing of the orientation.
const MOST_EXIF: u64 = 1 << 20;

/// The orientation of a PNG, and its reader where it was. Whatever is wrong with the file is the decoder's to tell.
pub(super) fn orientation<R: Read + Seek>(reader: &mut R) -> io::Result<Orientation> {
    let start = reader.stream_position()?;
    let exif = exif(reader).unwrap_or_default();
    reader.seek(SeekFrom::Start(start))?;
    Ok(Orientation::from_exif_chunk(&exif).unwrap_or(Orientation::NoTransforms))
}

/// The first Exif chunk.
fn exif<R: Read + Seek>(reader: &mut R) -> io::Result<Vec<u8>> {
    // Past the signature.
    reader.seek(SeekFrom::Current(8))?;
    loop {
        let mut head = [0; 8];
        reader.read_exact(&mut head)?;
        let [length @ .., _, _, _, _] = head;
        let length = u64::from(u32::from_be_bytes(length));
        match &head[4..] {
            b"eXIf" => {
                let mut exif = Vec::new();
                reader.take(length.min(MOST_EXIF)).read_to_end(&mut exif)?;
                return Ok(exif);
            }
            b"IEND" => return Ok(Vec::new()),
            // Its content and its checksum.
            _ => reader.seek(SeekFrom::Current(length as i64 + 4))?,
        };
    }
}
