//! Reading and writing learned values: safetensors, and the reference's `.pt`.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use mwt_core::ModelConfig;
use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::arrays::{Array, Weights, WeightsError};

/// Why named tensors could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// Reading or writing the file failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what its name says.
    #[error("{}: {reason}", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The tensors are not those of the model.
    #[error("{}: {source}", path.display())]
    Weights {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: WeightsError,
    },
}

/// Bytes of tensors that a `.pt` file may claim per byte of its own. PyTorch stores tensors uncompressed, and trained
/// weights hardly compress: a file that claims more was made to fill the reader's memory.
const MOST_UNPACKED: u64 = 16;

/// Names of a model's tensors begin so. All else in a checkpoint, optimiser state above all, is not needed.
const PARTS: [&str; 3] = ["siren_rgb.", "meta_sgd.", "classifier."];

/// The named tensors of a file: a checkpoint as PyTorch writes them (read as data, never executed) or safetensors, told by
/// its content. f16, bf16, f32 and f64 become f32; tensors of other types are left out, and of a checkpoint those that are
/// no model's.
///
/// # Errors
/// A file that cannot be read.
pub fn read(path: &Path) -> Result<BTreeMap<String, Array>, ExchangeError> {
    Ok(found(path)?.arrays)
}

/// The tensors of a model that may be wrapped: in a dict under any key, by Lightning, DataParallel or `torch.compile`. They
/// get the names that they have by themselves.
///
/// # Errors
/// A file that cannot be read, holds no such tensors or those of several models, or has some of a type that is not read.
pub fn read_wrapped(path: &Path) -> Result<BTreeMap<String, Array>, ExchangeError> {
    let format = |reason: String| ExchangeError::Format { path: path.to_owned(), reason };
    let found = found(path)?;
    if let Some((name, kind)) = found.refused.first() {
        let reason =
            format!("tensor {name} is of type {kind}, which is not read; save it as float32");
        return Err(format(reason));
    }
    unwrapped(found.arrays).map_err(|wrappers| match (&wrappers[..], found.others.len()) {
        ([], 0) => format("holds no tensors".into()),
        ([], others) => format(format!(
            "none of its tensors is a model's: of {others} the first are {}",
            first(found.others.iter().map(String::as_str))
        )),
        _ => format(format!(
            "holds several models, under {}; save one of them by itself",
            first(wrappers.iter().map(String::as_str))
        )),
    })
}

/// The first of some names, for people.
fn first<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.take(6).collect::<Vec<_>>().join(", ")
}

/// What a file holds.
#[derive(Default)]
struct Found {
    arrays: BTreeMap<String, Array>,
    /// Tensors that are no model's by their names.
    others: Vec<String>,
    /// Tensors of a model whose type is not read, and that type.
    refused: Vec<(String, String)>,
}

fn found(path: &Path) -> Result<Found, ExchangeError> {
    let io = |source| ExchangeError::Io { path: path.to_owned(), source };
    let mut start = [0; 9];
    let length = std::fs::metadata(path).map_err(io)?.len();
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    // A length, and the text of that length.
    let header = u64::from_le_bytes(*start.first_chunk().unwrap_or(&[0; 8]));
    let mut found = match read {
        Ok(()) if start[8] == b'{' && header < length => read_safetensors(path)?,
        _ => read_pt(path)?,
    };
    // The readers' orders are none.
    found.others.sort_unstable();
    found.refused.sort_unstable();
    Ok(found)
}

/// Words that wrappers put between the parts of a name.
const BETWEEN: [&str; 2] = ["module", "_orig_mod"];

/// A name without what wrappers put into it and before it, and what stood before it; `None` where it is no model's.
fn bare(name: &str) -> Option<(String, String)> {
    let words: Vec<&str> = name.split('.').filter(|word| !BETWEEN.contains(word)).collect();
    let is_part = |word: &&str| PARTS.iter().any(|part| part.trim_end_matches('.') == *word);
    let at = words.iter().position(is_part)?;
    Some((words[..at].join("."), words[at..].join(".")))
}

/// The tensors of the one model that is there, by their own names; or what several are under, or nothing.
fn unwrapped(arrays: BTreeMap<String, Array>) -> Result<BTreeMap<String, Array>, Vec<String>> {
    let mut models: BTreeMap<String, BTreeMap<String, Array>> = BTreeMap::new();
    for (name, array) in arrays {
        if let Some((wrapper, bare)) = bare(&name) {
            models.entry(wrapper).or_default().insert(bare, array);
        }
    }
    // Beside a model by itself there may be moments of an optimiser.
    if let Some(model) = models.remove("") {
        return Ok(model);
    }
    match models.len() {
        1 => Ok(models.into_values().next().unwrap_or_default()),
        _ => Err(models.into_keys().collect()),
    }
}

fn read_pt(path: &Path) -> Result<Found, ExchangeError> {
    let format = |e: &dyn std::fmt::Display| ExchangeError::Format {
        path: path.to_owned(),
        reason: e.to_string(),
    };
    let packed = std::fs::metadata(path)
        .map_err(|source| ExchangeError::Io { path: path.to_owned(), source })?
        .len();
    let reader = pytorch_reader::PytorchReader::new(path)
        .map_err(|e| format(&format_args!("neither a PyTorch checkpoint nor safetensors: {e}")))?;
    let mut unpacked = 0;
    let mut found = Found::default();
    for (name, tensor) in reader.into_tensors() {
        use pytorch_reader::DType;
        if bare(&name).is_none() {
            found.others.push(name);
            continue;
        }
        let (dtype, bytes) = match tensor.dtype() {
            DType::F32 => (Dtype::F32, 4),
            DType::F64 => (Dtype::F64, 8),
            DType::F16 => (Dtype::F16, 2),
            DType::BF16 => (Dtype::BF16, 2),
            other => {
                found.refuse(name, tensor.shape(), format_args!("{other:?}"));
                continue;
            }
        };
        // Shapes are the file's own claim: counted before anything is read.
        let shape = tensor.shape();
        unpacked = shape
            .iter()
            .fold(bytes, |n: u64, side| n.saturating_mul(*side as u64))
            .saturating_add(unpacked);
        if unpacked > packed.saturating_mul(MOST_UNPACKED) {
            let claim = format!(
                "{packed} bytes claim to hold tensors of more than {MOST_UNPACKED} times that"
            );
            return Err(format(&claim));
        }
        let bytes = tensor.read().map_err(|e| format(&format!("tensor {name}: {e}")))?;
        if let Some(values) = floats(dtype, &bytes) {
            found.arrays.insert(name, Array { shape: tensor.shape().to_vec(), values });
        }
    }
    Ok(found)
}

impl Found {
    /// Takes note of a tensor of a type that is not read. Single numbers are counters, which nobody needs.
    fn refuse(&mut self, name: String, shape: &[usize], kind: std::fmt::Arguments<'_>) {
        if shape.iter().product::<usize>() > 1 {
            self.refused.push((name, kind.to_string()));
        }
    }
}

fn read_safetensors(path: &Path) -> Result<Found, ExchangeError> {
    let bytes = std::fs::read(path)
        .map_err(|source| ExchangeError::Io { path: path.to_owned(), source })?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| ExchangeError::Format {
        path: path.to_owned(),
        reason: format!("not a safetensors file ({e})"),
    })?;
    let mut found = Found::default();
    for (name, view) in tensors.iter() {
        match floats(view.dtype(), view.data()) {
            Some(values) => {
                let array = Array { shape: view.shape().to_vec(), values };
                found.arrays.insert(name.to_owned(), array);
            }
            None if bare(name).is_some() => {
                found.refuse(name.to_owned(), view.shape(), format_args!("{:?}", view.dtype()));
            }
            None => {}
        }
        if bare(name).is_none() {
            found.others.push(name.to_owned());
        }
    }
    Ok(found)
}

/// Little-endian floats of any width as f32; `None` for other types.
fn floats(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    use half::{bf16, f16};
    Some(match dtype {
        Dtype::F32 => bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F64 => {
            bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect()
        }
        Dtype::F16 => {
            bytes.as_chunks::<2>().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect()
        }
        Dtype::BF16 => {
            bytes.as_chunks::<2>().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect()
        }
        _ => return None,
    })
}

/// Reads a model's values from a file of named tensors.
///
/// # Errors
/// A file that cannot be read, or lacks a tensor.
pub fn read_weights(path: &Path, config: ModelConfig) -> Result<Weights, ExchangeError> {
    Weights::new(config, read(path)?)
        .map_err(|source| ExchangeError::Weights { path: path.to_owned(), source })
}

/// The bytes of a safetensors file with these tensors as f32 and these facts.
///
/// # Errors
/// The serializer's own: values that do not fill their shape.
pub fn to_safetensors(
    arrays: &BTreeMap<String, Array>,
    facts: Vec<(String, String)>,
) -> Result<Vec<u8>, SafeTensorError> {
    let bytes: Vec<(&String, &Array, Vec<u8>)> = arrays
        .iter()
        .map(|(name, a)| (name, a, a.values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = bytes
        .iter()
        .map(|(name, a, bytes)| {
            let view = TensorView::new(Dtype::F32, a.shape.clone(), bytes);
            view.map(|view| (name.as_str(), view))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let facts = (!facts.is_empty()).then(|| facts.into_iter().collect());
    safetensors::serialize(views, facts)
}

/// Why the sizes of a model could not be told from its tensors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InferError {
    /// A tensor that every model has is not there.
    #[error("tensor {name} is missing; of {tensors} tensors the first are: {first}")]
    Missing {
        /// Its name.
        name: String,
        /// Tensors that are there.
        tensors: usize,
        /// The names of the first of them.
        first: String,
    },
    /// A tensor has another number of axes than it must have, or an axis of length 0.
    #[error("tensor {name} has shape {shape:?}")]
    Shape {
        /// Its name.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },
}

/// Sizes that the shapes of a reference checkpoint tell: D, L, k, B, mlp_mult, C and K. The rest is
/// `defaults`'.
///
/// # Errors
/// A tensor that is not there, or has no sensible shape, by name.
pub fn infer_config(
    arrays: &BTreeMap<String, Array>,
    defaults: ModelConfig,
) -> Result<ModelConfig, InferError> {
    let missing = |name: &str| {
        let first: Vec<&str> = arrays.keys().take(4).map(String::as_str).collect();
        let first = if first.is_empty() { "none of a model's".into() } else { first.join(", ") };
        InferError::Missing { name: name.to_owned(), tensors: arrays.len(), first }
    };
    let shape = |name: &str, rank: usize| {
        let array = arrays.get(name).ok_or_else(|| missing(name))?;
        let fits = array.shape.len() == rank && array.shape.iter().all(|n| *n > 0);
        fits.then_some(&array.shape[..])
            .ok_or_else(|| InferError::Shape { name: name.to_owned(), shape: array.shape.clone() })
    };
    let count = |name: &dyn Fn(usize) -> String| {
        (0..).take_while(|n| arrays.contains_key(&name(*n))).count()
    };
    let dim = shape("siren_rgb.sirens.0", 2)?[1];
    let sirens = count(&|n| format!("siren_rgb.sirens.{n}"));
    let alphas = count(&|n| format!("meta_sgd.meta_lrs_w.{n}"));
    let shared_alpha = defaults.shared_alpha && alphas == 1;
    Ok(ModelConfig {
        dim,
        hidden_layers: (sirens / 2).saturating_sub(1),
        inner_steps: if shared_alpha { defaults.inner_steps } else { alphas },
        blocks: count(&|n| format!("classifier.classifier.{n}.0.layer_scale")),
        mlp_mult: shape("classifier.classifier.0.1.m.1.weight", 2)?[0] / dim,
        channels: shape("siren_rgb.out.weight", 2)?[0],
        classes: shape("classifier.to_logits.weight", 2)?[0],
        shared_alpha,
        ..defaults
    })
}
