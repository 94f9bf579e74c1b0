//! Whether a JPEG is whole.
//!
//! Decoders fill up what is missing, so that a person sees as much as there is; a model would see grey. Here the
//! compressed data are read from the first block to the last without making pixels of them: each scan must hold all its
//! blocks, and nothing behind them. That finds what was cut, overwritten or left out in the middle, for baseline and
//! progressive files, with restart markers or without.

use std::fmt;

/// What is wrong with a JPEG's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The file ends within its headers or between its scans.
    Ends,
    /// The data of a scan end too early.
    Cut {
        /// Units of blocks that are there.
        found: usize,
        /// Units of blocks that there must be.
        expected: usize,
    },
    /// The data cannot be what an encoder wrote.
    Garbled,
    /// There are data behind the last block of a scan.
    Surplus,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ends => f.write_str("it ends before its pixels do"),
            Self::Cut { found, expected } => {
                write!(f, "it ends after {found} of {expected} blocks")
            }
            Self::Garbled => f.write_str("its data were overwritten"),
            Self::Surplus => f.write_str("parts of its data were lost or overwritten"),
        }
    }
}

/// Checks that a JPEG has all its pixels. What no decoder here understands (arithmetic coding, lossless) passes.
pub(super) fn require_whole(bytes: &[u8]) -> Result<(), Fault> {
    let mut file = Jpeg { bytes, ..Jpeg::default() };
    // Past the marker of the beginning.
    let mut at = 2;
    loop {
        let marker;
        (marker, at) = next_marker(bytes, at).ok_or(Fault::Ends)?;
        match marker {
            EOI if file.complete() => return Ok(()),
            EOI => return Err(Fault::Ends),
            // These stand alone.
            0x01 | RST0..=RST7 | SOI => continue,
            // Frames that are decoded nowhere here.
            0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => return Ok(()),
            _ => {}
        }
        let length = bytes.get(at..at + 2).ok_or(Fault::Ends)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let segment = bytes.get(at + 2..at + length.max(2)).ok_or(Fault::Ends)?;
        at += length.max(2);
        match marker {
            0xc0..=0xc2 => file.frame(marker, segment)?,
            DHT => file.tables(segment)?,
            DRI => {
                file.restart = segment.first_chunk().map_or(0, |b| u16::from_be_bytes(*b).into())
            }
            SOS => at = file.scan(segment, at)?,
            _ => {}
        }
    }
}

/// Samples of all components: more the decoder refuses, and what is opened has fewer.
const MOST_SAMPLES: usize = 1 << 30;
/// Scans that the decoder takes; encoders write about ten.
const MOST_SCANS: usize = 100;

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const RST0: u8 = 0xd0;
const RST7: u8 = 0xd7;
const SOS: u8 = 0xda;
const DHT: u8 = 0xc4;
const DRI: u8 = 0xdd;

/// The marker at or behind a place, and the place behind it.
fn next_marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += bytes.get(at..)?.iter().position(|b| *b == 0xff)?;
        // Any number of them may stand before a marker.
        at += bytes.get(at..)?.iter().position(|b| *b != 0xff)?;
        if bytes[at] != 0 {
            return Some((bytes[at], at + 1));
        }
    }
}

/// A component of the picture: a grid of blocks.
#[derive(Default)]
struct Component {
    id: u8,
    /// Blocks of it in a unit, across and down.
    factors: (usize, usize),
    /// Blocks of it, across and down: in whole units, and as many as its own pixels take.
    padded: (usize, usize),
    own: (usize, usize),
    /// Of a progressive picture: which coefficients of each block are not 0, one bit each.
    set: Vec<u64>,
    /// Whether a scan with its first coefficients has been.
    seen: bool,
}

#[derive(Default)]
struct Jpeg<'a> {
    bytes: &'a [u8],
    progressive: bool,
    scans: usize,
    components: Vec<Component>,
    /// Units across and down of a scan of several components.
    units: (usize, usize),
    /// Units between two restart markers; 0 for none.
    restart: usize,
    /// For first coefficients, and for the others.
    codes: [[Option<Codes>; 4]; 2],
}

impl Jpeg<'_> {
    /// Whether each component has been in a scan.
    fn complete(&self) -> bool {
        !self.components.is_empty() && self.components.iter().all(|c| c.seen)
    }

    /// Reads the size of the picture and of its components.
    fn frame(&mut self, marker: u8, segment: &[u8]) -> Result<(), Fault> {
        let [_, h1, h0, w1, w0, count, rest @ ..] = segment else { return Err(Fault::Ends) };
        let height = usize::from(u16::from_be_bytes([*h1, *h0]));
        let width = usize::from(u16::from_be_bytes([*w1, *w0]));
        self.progressive = marker == 0xc2;
        // One frame, and no more of it than a decoder takes: its blocks are counted in memory below.
        let most = height.saturating_mul(width).saturating_mul(usize::from(*count));
        if !self.components.is_empty() || most > MOST_SAMPLES {
            return Err(Fault::Garbled);
        }
        let parts: Vec<[u8; 3]> =
            rest.as_chunks().0.iter().take((*count).into()).copied().collect();
        let factors: Vec<(usize, usize)> = parts
            .iter()
            .map(|[_, f, _]| (usize::from(f >> 4).max(1), usize::from(f & 15).max(1)))
            .collect();
        let most = |of: fn(&(usize, usize)) -> usize| factors.iter().map(of).max().unwrap_or(1);
        let (across, down) = (most(|f| f.0), most(|f| f.1));
        self.units = (width.div_ceil(8 * across), height.div_ceil(8 * down));
        self.components = Vec::new();
        for ([id, ..], factors) in parts.into_iter().zip(factors) {
            let padded = (self.units.0 * factors.0, self.units.1 * factors.1);
            let own =
                ((width * factors.0).div_ceil(8 * across), (height * factors.1).div_ceil(8 * down));
            let blocks = if self.progressive { padded.0 * padded.1 } else { 0 };
            self.components.push(Component {
                id,
                factors,
                padded,
                own,
                set: vec![0; blocks],
                seen: false,
            });
        }
        Ok(())
    }

    /// Reads tables of codes.
    fn tables(&mut self, mut segment: &[u8]) -> Result<(), Fault> {
        while let Some((place, rest)) = segment.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or(Fault::Ends)?;
            let symbols: usize = counts.iter().map(|n| usize::from(*n)).sum();
            let (symbols, rest) = rest.split_at_checked(symbols).ok_or(Fault::Ends)?;
            self.codes[usize::from(place >> 4 & 1)][usize::from(place & 3)] =
                Some(Codes::new(counts, symbols));
            segment = rest;
        }
        Ok(())
    }

    /// Reads the data of a scan; the place of the marker behind them.
    fn scan(&mut self, segment: &[u8], at: usize) -> Result<usize, Fault> {
        self.scans += 1;
        if self.scans > MOST_SCANS {
            return Err(Fault::Garbled);
        }
        let (count, rest) = segment.split_first().ok_or(Fault::Ends)?;
        let (parts, rest) = rest.split_at_checked(2 * usize::from(*count)).ok_or(Fault::Ends)?;
        let [first, last, approximation, ..] = *rest else { return Err(Fault::Ends) };
        let band = Band {
            first: first.into(),
            last: usize::from(last).min(63),
            refines: approximation >> 4 > 0,
            progressive: self.progressive,
        };
        // Each with its place among the components.
        let mut scanned = Vec::new();
        for [id, tables] in parts.as_chunks().0 {
            let place = self.components.iter().position(|c| c.id == *id).ok_or(Fault::Garbled)?;
            let codes = [tables >> 4 & 3, tables & 3].map(usize::from);
            scanned.push((place, codes));
            self.components[place].seen |= first == 0;
        }
        let alone = scanned.len() == 1;
        let (across, down) = match scanned[..] {
            [] => return Err(Fault::Garbled),
            [(place, _)] => self.components[place].own,
            _ => self.units,
        };
        let expected = across * down;
        let mut bits = Bits::new(self.bytes, at);
        let mut run = 0;
        for unit in 0..expected {
            if self.restart > 0 && unit > 0 && unit % self.restart == 0 {
                bits.restart()?;
                run = 0;
            }
            for (place, [dc, ac]) in &scanned {
                let codes = [self.codes[0][*dc].as_ref(), self.codes[1][*ac].as_ref()];
                let component = &mut self.components[*place];
                let factors = if alone { (1, 1) } else { component.factors };
                for block in 0..factors.0 * factors.1 {
                    let x = unit % across * factors.0 + block % factors.0;
                    let y = unit / across * factors.1 + block / factors.0;
                    let mut none = 0;
                    let set =
                        component.set.get_mut(y * component.padded.0 + x).unwrap_or(&mut none);
                    band.block(&mut bits, codes, set, &mut run).map_err(|stop| match stop {
                        Stop::End => Fault::Cut { found: unit, expected },
                        Stop::Garbled => Fault::Garbled,
                    })?;
                }
            }
        }
        bits.finish()
    }
}

/// Which coefficients a scan has, and which of their bits.
struct Band {
    first: usize,
    last: usize,
    /// Whether their higher bits were in an earlier scan.
    refines: bool,
    progressive: bool,
}

/// Why a block could not be read.
enum Stop {
    /// There are no more data.
    End,
    /// No code begins so, or a coefficient lies outside its block.
    Garbled,
}

impl Band {
    /// Reads a block. `set` are its coefficients that are not 0, `run` the blocks that follow without any.
    fn block(
        &self,
        bits: &mut Bits<'_>,
        [dc, ac]: [Option<&Codes>; 2],
        set: &mut u64,
        run: &mut usize,
    ) -> Result<(), Stop> {
        let code = |codes: Option<&Codes>, bits: &mut Bits<'_>| match codes {
            Some(codes) => codes.read(bits),
            None => Err(Stop::Garbled),
        };
        if self.first == 0 {
            if self.refines {
                bits.take(1)?;
            } else {
                let size = code(dc, bits)?;
                bits.take(size.min(16).into())?;
            }
            if self.progressive {
                return Ok(());
            }
        }
        if self.refines {
            return self.refine(bits, ac, set, run);
        }
        if *run > 0 {
            *run -= 1;
            return Ok(());
        }
        let mut k = self.first.max(1);
        while k <= self.last {
            let symbol = code(ac, bits)?;
            let (zeros, size) = (usize::from(symbol >> 4), usize::from(symbol & 15));
            if size == 0 && zeros < 15 {
                // The end of this block, and of a run of them.
                *run = (1 << zeros) - 1 + bits.take(zeros)?;
                return if self.progressive || zeros == 0 { Ok(()) } else { Err(Stop::Garbled) };
            }
            k += zeros;
            if k > self.last {
                return Err(Stop::Garbled);
            }
            if size > 0 {
                bits.take(size)?;
                *set |= 1 << k;
            }
            k += 1;
        }
        Ok(())
    }

    /// Reads one more bit of each coefficient, and those that become 1 with it.
    fn refine(
        &self,
        bits: &mut Bits<'_>,
        ac: Option<&Codes>,
        set: &mut u64,
        run: &mut usize,
    ) -> Result<(), Stop> {
        let mut k = self.first;
        while *run == 0 && k <= self.last {
            let symbol = ac.ok_or(Stop::Garbled)?.read(bits)?;
            let (mut zeros, size) = (usize::from(symbol >> 4), symbol & 15);
            match size {
                0 if zeros < 15 => {
                    *run = (1 << zeros) + bits.take(zeros)?;
                    break;
                }
                0 => {}
                1 => _ = bits.take(1)?,
                _ => return Err(Stop::Garbled),
            }
            while k <= self.last {
                if *set >> k & 1 == 1 {
                    bits.take(1)?;
                } else if zeros == 0 {
                    break;
                } else {
                    zeros -= 1;
                }
                k += 1;
            }
            if size > 0 {
                if k > self.last {
                    return Err(Stop::Garbled);
                }
                *set |= 1 << k;
            }
            k += 1;
        }
        if *run > 0 {
            *run -= 1;
            while k <= self.last {
                if *set >> k & 1 == 1 {
                    bits.take(1)?;
                }
                k += 1;
            }
        }
        Ok(())
    }
}

/// Bits of a code that are looked up at once.
const LOOKED_UP: usize = 8;

/// Prefix codes of up to 16 bits.
struct Codes {
    /// Length and symbol for each beginning; length 0 where the code is longer, or there is none.
    short: [(u8, u8); 1 << LOOKED_UP],
    /// For each length: the codes below this one, and what to subtract for the place of the symbol.
    long: [(usize, usize); 17],
    symbols: Vec<u8>,
}

impl Codes {
    fn new(counts: &[u8; 16], symbols: &[u8]) -> Self {
        let mut codes =
            Self { short: [(0, 0); 1 << LOOKED_UP], long: [(0, 0); 17], symbols: symbols.to_vec() };
        let (mut code, mut place) = (0usize, 0usize);
        for (length, count) in (1..=16).zip(counts.map(usize::from)) {
            codes.long[length].1 = code.wrapping_sub(place);
            for symbol in symbols.iter().skip(place).take(count) {
                if length <= LOOKED_UP {
                    let first = code << (LOOKED_UP - length);
                    let end = (code + 1) << (LOOKED_UP - length);
                    // More codes than there are bits for begin nothing.
                    for entry in codes.short.get_mut(first..end).into_iter().flatten() {
                        *entry = (length as u8, *symbol);
                    }
                }
                code += 1;
            }
            place += count;
            codes.long[length].0 = code;
            code <<= 1;
        }
        codes
    }

    fn read(&self, bits: &mut Bits<'_>) -> Result<u8, Stop> {
        bits.fill();
        let (length, symbol) = self.short[bits.peek(LOOKED_UP)];
        if length > 0 {
            bits.take(length.into())?;
            return Ok(symbol);
        }
        for length in LOOKED_UP + 1..=16 {
            let code = bits.peek(length);
            let (end, offset) = self.long[length];
            if code < end {
                bits.take(length)?;
                return self.symbols.get(code.wrapping_sub(offset)).copied().ok_or(Stop::Garbled);
            }
        }
        // With too few bits left no code is one.
        Err(if bits.count < 16 { Stop::End } else { Stop::Garbled })
    }
}

/// The bits of a scan, up to the next marker.
struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte.
    at: usize,
    /// Bits that were read and not taken, the next one highest of the `count` lowest.
    held: u64,
    count: usize,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, held: 0, count: 0 }
    }

    /// The next byte of data, where there is one before the next marker.
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        if byte == 0xff {
            // A marker's first byte, unless a 0 says that it is data.
            self.bytes.get(self.at + 1).filter(|next| **next == 0)?;
            self.at += 1;
        }
        self.at += 1;
        Some(byte)
    }

    fn fill(&mut self) {
        while self.count <= 48 {
            let Some(byte) = self.byte() else { return };
            self.held = self.held << 8 | u64::from(byte);
            self.count += 8;
        }
    }

    /// The next bits, with 0 for those that are not there.
    fn peek(&self, n: usize) -> usize {
        let held = self.held & ((1 << self.count) - 1);
        (if self.count >= n { held >> (self.count - n) } else { held << (n - self.count) }) as usize
    }

    fn take(&mut self, n: usize) -> Result<usize, Stop> {
        if self.count < n {
            self.fill();
        }
        if self.count < n {
            return Err(Stop::End);
        }
        let taken = self.peek(n);
        self.count -= n;
        Ok(taken)
    }

    /// Goes past a restart marker.
    fn restart(&mut self) -> Result<(), Fault> {
        let end = self.finish()?;
        match next_marker(self.bytes, end) {
            Some((RST0..=RST7, at)) => {
                *self = Self::new(self.bytes, at);
                Ok(())
            }
            _ => Err(Fault::Garbled),
        }
    }

    /// Checks that nothing but padding is left; the place of the next marker.
    fn finish(&mut self) -> Result<usize, Fault> {
        // A part of a byte is padding, and so are whole ones that are 0, which some encoders append.
        let whole = self.count - self.count % 8;
        let mut surplus = self.held & ((1 << whole) - 1) != 0;
        while let Some(byte) = self.byte() {
            surplus |= byte != 0;
        }
        if surplus { Err(Fault::Surplus) } else { Ok(self.at) }
    }
}
