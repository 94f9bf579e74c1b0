//! Reading a bundle where it lies.

use super::{CRC, Header, MAGIC, PREFIX, VERSION};
use crate::config::ModelConfig;
use crate::error::Error;
use crate::layout::{BlockTensor, Places, Tensor, tensors};
use crate::quant::{Matrix, Vector};

/// A bundle whose every byte has been checked, borrowed from the caller.
#[derive(Clone, Copy, Debug)]
pub struct Bundle<'a> {
    header: Header<'a>,
    places: Places,
    tensors: &'a [u8],
    golden: &'a [u8],
    /// The whole file.
    bytes: &'a [u8],
    version: u16,
}

/// A sine layer's weights or its rates.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// `[inputs, D]`.
    pub weight: Matrix<'a>,
    /// `[D]`.
    pub bias: Vector<'a>,
}

/// The head that turns the last sine layer into colours: out = (h·Wo + bo) ⊙ out_scale.
#[derive(Clone, Copy, Debug)]
pub struct SirenHead<'a> {
    /// Wo, `[D, C]`.
    pub weight: Matrix<'a>,
    /// bo, `[C]`.
    pub bias: Vector<'a>,
    /// out_scale, `[C]`.
    pub scale: Vector<'a>,
}

/// A linear layer y = x·W + b.
#[derive(Clone, Copy, Debug)]
pub struct Linear<'a> {
    /// W, `[inputs, outputs]`.
    pub weight: Matrix<'a>,
    /// b, `[outputs]`.
    pub bias: Vector<'a>,
}

/// A layer norm's affine part.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// Factor, `[D]`.
    pub weight: Vector<'a>,
    /// Offset, `[D]`.
    pub bias: Vector<'a>,
}

/// A Transformer block.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// Norm before the attention.
    pub norm1: Norm<'a>,
    /// Queries of all heads, `[D, D]`, without a bias.
    pub query: Matrix<'a>,
    /// Keys of all heads, `[D, D]`, without a bias.
    pub key: Matrix<'a>,
    /// Values of all heads, `[D, D]`, without a bias.
    pub value: Matrix<'a>,
    /// to_out.
    pub attn_out: Linear<'a>,
    /// ls1, `[D]`.
    pub layer_scale1: Vector<'a>,
    /// Norm before the MLP.
    pub norm2: Norm<'a>,
    /// First layer of the MLP.
    pub mlp1: Linear<'a>,
    /// Second layer of the MLP.
    pub mlp2: Linear<'a>,
    /// ls2, `[D]`.
    pub layer_scale2: Vector<'a>,
}

/// A signal with the trainer's answer, so that a device can test itself.
#[derive(Clone, Copy, Debug)]
pub struct GoldenSample<'a> {
    /// The numbers at each position, channels interleaved, little-endian, of the type that
    /// [`Input::sample`](super::Input::sample) says.
    pub signal: &'a [u8],
    /// The trainer's logits for the weights as the bundle holds them, `[K]`.
    pub logits: Vector<'a>,
}

impl<'a> Bundle<'a> {
    /// Checks `bytes` from the first to the last and borrows them.
    ///
    /// # Errors
    /// The first thing found wrong; see [`Error`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let Prefix { version, len: expected, header } = Prefix::read(bytes)?;
        let found = bytes.len() as u64;
        if found < expected {
            return Err(Error::Truncated { expected, found });
        }
        if found > expected {
            return Err(Error::TrailingBytes { expected, found });
        }
        let rest = bytes.get(PREFIX..).unwrap_or_default();
        let rest = rest
            .split_last_chunk::<4>()
            .ok_or(Error::Truncated { expected: PREFIX as u64 + 4, found })?
            .0;
        check_sum(bytes)?;
        // From here on the file is as its writer left it; what follows guards against a hostile writer.
        let (header, body) = rest.split_at_checked(header).ok_or(Error::Header)?;
        let header = Header::read(header, version)?;
        header.check()?;
        let tensor_bytes: u64 =
            tensors(&header.config).map(|t| t.bytes(&header.config, &header.schemes)).sum();
        let expected = tensor_bytes + u64::from(header.golden_samples) * header.golden_bytes();
        let found = body.len() as u64;
        if expected != found {
            return Err(Error::TensorBytes { expected, found });
        }
        let places = Places::new(&header.config, &header.schemes)
            .ok_or(Error::TensorBytes { expected, found })?;
        let (tensors, golden) =
            body.split_at_checked(places.end).ok_or(Error::TensorBytes { expected, found })?;
        let bundle = Self { header, places, tensors, golden, bytes, version };
        bundle.check_values()?;
        Ok(bundle)
    }

    /// Bytes of the bundle that begins with these, of which the first 24 suffice: for a bundle in a sector of flash that is
    /// longer than it. Of all else nothing is checked; [`parse`](Self::parse) does so, for as many bytes.
    ///
    /// ```
    /// # use mwt_core::{Bundle, Error};
    /// fn in_sector(sector: &[u8]) -> Result<Bundle<'_>, Error> {
    ///     let expected = Bundle::len_from_prefix(sector)?;
    ///     let found = sector.len() as u64;
    ///     let bundle = sector.get(..expected).ok_or(Error::Truncated { expected: expected as u64, found })?;
    ///     Bundle::parse(bundle)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::NotABundle`], [`Error::Version`] or [`Error::Reserved`]; [`Error::Truncated`] for fewer than 24 bytes, or
    /// a length that is more than this machine can address.
    pub fn len_from_prefix(bytes: &[u8]) -> Result<usize, Error> {
        let (expected, found) = (Prefix::read(bytes)?.len, bytes.len() as u64);
        usize::try_from(expected).map_err(|_| Error::Truncated { expected, found })
    }

    /// Whether the bytes are still those that were parsed: their CRC-32 again, which notices every flipped bit, at about
    /// eight instructions a byte on a microcontroller. [`parse`](Self::parse) checks more, which no flipped bit can
    /// break that this does not notice.
    ///
    /// # Errors
    /// [`Error::Checksum`].
    pub fn check_again(&self) -> Result<(), Error> {
        check_sum(self.bytes)
    }

    /// The header.
    pub const fn header(&self) -> &Header<'a> {
        &self.header
    }

    /// The configuration.
    pub const fn config(&self) -> &ModelConfig {
        &self.header.config
    }

    /// Format version of the file.
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// Multiply-adds to fit and classify one signal.
    pub const fn macs(&self) -> u64 {
        self.header.config.fit_macs() + self.header.config.transformer_macs()
    }

    /// Bytes of the whole file.
    pub const fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// θ of sine layer `layer` = 0..=L.
    pub fn theta(&self, layer: usize) -> Layer<'a> {
        self.layer(layer, Tensor::SirenWeight(layer), 0, self.places.theta_layer)
    }

    /// α of inner step `step` and sine layer `layer`. When all steps share one α, `step` is ignored.
    pub fn alpha(&self, step: usize, layer: usize) -> Layer<'a> {
        let p = &self.places;
        let row = p.first_layer + self.config().hidden_layers * p.alpha_layer;
        let step = if self.config().shared_alpha { 0 } else { step };
        self.layer(layer, Tensor::AlphaWeight { step, layer }, p.alpha + step * row, p.alpha_layer)
    }

    /// The SIREN's head.
    pub fn siren_head(&self) -> SirenHead<'a> {
        let mut at = self.cursor(self.places.siren_head);
        SirenHead {
            weight: at.matrix(Tensor::SirenHeadWeight),
            bias: at.vector(Tensor::SirenHeadBias),
            scale: at.vector(Tensor::OutScale),
        }
    }

    /// β of hidden layer `layer` = 1..=L: `[D+1, D]`, column o for the token of neuron o.
    pub fn beta(&self, layer: usize) -> Matrix<'a> {
        let place = self.places.beta + layer.saturating_sub(1) * self.places.beta_layer;
        self.cursor(place).matrix(Tensor::Beta(layer))
    }

    /// project_in.
    pub fn project_in(&self) -> Linear<'a> {
        self.cursor(self.places.project_in).linear(Tensor::ProjectIn, Tensor::ProjectInBias)
    }

    /// Transformer block `block` = 0..B.
    pub fn block(&self, block: usize) -> Block<'a> {
        let mut at = self.cursor(self.places.blocks + block * self.places.block);
        let t = |tensor| Tensor::Block(block, tensor);
        use BlockTensor::*;
        Block {
            norm1: Norm { weight: at.vector(t(Norm1Weight)), bias: at.vector(t(Norm1Bias)) },
            query: at.matrix(t(Query)),
            key: at.matrix(t(Key)),
            value: at.matrix(t(Value)),
            attn_out: at.linear(t(AttnOut), t(AttnOutBias)),
            layer_scale1: at.vector(t(LayerScale1)),
            norm2: Norm { weight: at.vector(t(Norm2Weight)), bias: at.vector(t(Norm2Bias)) },
            mlp1: at.linear(t(Mlp1), t(Mlp1Bias)),
            mlp2: at.linear(t(Mlp2), t(Mlp2Bias)),
            layer_scale2: at.vector(t(LayerScale2)),
        }
    }

    /// to_logits.
    pub fn to_logits(&self) -> Linear<'a> {
        self.cursor(self.places.to_logits).linear(Tensor::ToLogits, Tensor::ToLogitsBias)
    }

    /// The golden samples.
    pub fn golden_samples(&self) -> impl ExactSizeIterator<Item = GoldenSample<'a>> + use<'a> {
        let size = self.header.golden_bytes() as usize;
        let signal = self.header.signal_bytes() as usize;
        self.golden.chunks_exact(size.max(1)).map(move |sample| {
            let (signal, logits) = sample.split_at_checked(signal).unwrap_or_default();
            GoldenSample { signal, logits: Vector::new(logits) }
        })
    }

    /// A sine layer of the rows that begin with `part`, whose hidden layers take `stride` bytes.
    fn layer(&self, layer: usize, weight: Tensor, part: usize, stride: usize) -> Layer<'a> {
        let place = match layer.checked_sub(1) {
            None => part,
            Some(hidden) => part + self.places.first_layer + hidden * stride,
        };
        let mut at = self.cursor(place);
        Layer { weight: at.matrix(weight), bias: at.vector(Tensor::SirenBias(layer)) }
    }

    fn cursor(&self, place: usize) -> Cursor<'a, '_> {
        Cursor { bytes: self.tensors.get(place..).unwrap_or_default(), header: &self.header }
    }

    /// Walks every tensor in the order of the file.
    fn check_values(&self) -> Result<(), Error> {
        let mut at = self.cursor(0);
        for tensor in tensors(self.config()) {
            at.matrix(tensor).check()?;
        }
        let finite = |sample: GoldenSample<'_>| sample.logits.iter().all(f32::is_finite);
        if self.golden_samples().all(finite) { Ok(()) } else { Err(Error::NonFinite) }
    }
}

/// The first bytes of a file.
struct Prefix {
    version: u16,
    /// Bytes of the whole file, as it says.
    len: u64,
    /// Bytes of its header.
    header: usize,
}

impl Prefix {
    fn read(bytes: &[u8]) -> Result<Self, Error> {
        let found = bytes.len() as u64;
        let prefix = bytes.first_chunk::<PREFIX>().ok_or(
            if !bytes.is_empty() && MAGIC.starts_with(bytes.get(..8).unwrap_or(bytes)) {
                Error::Truncated { expected: PREFIX as u64, found }
            } else {
                Error::NotABundle
            },
        )?;
        let [m0, m1, m2, m3, m4, m5, m6, m7, v0, v1, r0, r1, rest @ ..] = *prefix;
        if [m0, m1, m2, m3, m4, m5, m6, m7] != MAGIC {
            return Err(Error::NotABundle);
        }
        let version = u16::from_le_bytes([v0, v1]);
        if !(1..=VERSION).contains(&version) {
            return Err(Error::Version { found: version });
        }
        if [r0, r1] != [0, 0] {
            return Err(Error::Reserved);
        }
        let [l0, l1, l2, l3, l4, l5, l6, l7, h0, h1, h2, h3] = rest;
        Ok(Self {
            version,
            len: u64::from_le_bytes([l0, l1, l2, l3, l4, l5, l6, l7]),
            header: u32::from_le_bytes([h0, h1, h2, h3]) as usize,
        })
    }
}

/// Whether the last four bytes are the CRC-32 of those before them.
#[inline(never)]
fn check_sum(bytes: &[u8]) -> Result<(), Error> {
    let Some((checked, crc)) = bytes.split_last_chunk::<4>() else { return Err(Error::Checksum) };
    if CRC.checksum(checked) == u32::from_le_bytes(*crc) { Ok(()) } else { Err(Error::Checksum) }
}

/// Takes tensors one after the other.
struct Cursor<'a, 'h> {
    bytes: &'a [u8],
    header: &'h Header<'a>,
}

impl<'a> Cursor<'a, '_> {
    fn take(&mut self, bytes: u64) -> &'a [u8] {
        // Never short: `parse` made sure that all tensors are there.
        let (taken, rest) = self.bytes.split_at_checked(bytes as usize).unwrap_or_default();
        self.bytes = rest;
        taken
    }

    /// A vector is read as a matrix of one row.
    fn matrix(&mut self, tensor: Tensor) -> Matrix<'a> {
        let Header { config, schemes, .. } = self.header;
        let (rows, columns) = tensor.shape(config).dims();
        let bytes = self.take(tensor.bytes(config, schemes));
        Matrix::new(rows, columns, tensor.scheme(config, schemes), bytes)
    }

    fn vector(&mut self, tensor: Tensor) -> Vector<'a> {
        Vector::new(self.take(tensor.bytes(&self.header.config, &self.header.schemes)))
    }

    fn linear(&mut self, weight: Tensor, bias: Tensor) -> Linear<'a> {
        Linear { weight: self.matrix(weight), bias: self.vector(bias) }
    }
}
