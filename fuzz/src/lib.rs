//! What the fuzz targets do with an input, apart from libFuzzer, so that a plain test can replay the corpus.
//!
//! An input is a bundle's file. Hardly any mutation survives the checksum, so each input is tried twice: as it is, and
//! sealed, which makes length and checksum right again.

use mwt_infer::mwt_core::quant::{Matrix, Vector};
use mwt_infer::{Bundle, Classifier, Isa, Numbers, Scattered, Signal, workspace_len};

/// Multiply-adds and workspace beyond which an input is not run: a header may ask for hours without being wrong.
const MOST_WORK: u64 = 1 << 20;

/// Parses an input and reads every tensor of what is let through. Gives how many of the two tries were.
pub fn parse(input: &[u8]) -> usize {
    tries(input, &mut |bundle| read_all(bundle))
}

/// Parses an input, and fits and classifies with what is let through: finite logits or an error, the same every time.
/// Gives how many of the two tries came to logits.
pub fn classify(input: &[u8]) -> usize {
    let mut classified = 0;
    tries(input, &mut |bundle| {
        let (config, len) = (bundle.config(), workspace_len(bundle.config()));
        if config.fit_macs().max(config.transformer_macs()).max(len as u64) <= MOST_WORK {
            for isa in [Isa::PORTABLE, Isa::detect()] {
                let first = logits(bundle, isa, input, &mut vec![0.0; len]);
                // What the workspace held before does not matter.
                let again = logits(bundle, isa, input, &mut vec![f32::NAN; len]);
                assert_eq!(first, again);
                classified += usize::from(first.is_some());
            }
        }
    });
    classified.div_ceil(2)
}

fn tries(input: &[u8], see: &mut dyn FnMut(&Bundle<'_>)) -> usize {
    let sealed = seal(input);
    let parsed = [Some(input), sealed.as_deref()].into_iter().flatten();
    parsed.filter_map(|bytes| Bundle::parse(bytes).ok()).map(|bundle| see(&bundle)).count()
}

/// The input with its length and its checksum made right; `None` when it is too short to have them.
pub fn seal(input: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = input.to_vec();
    let end = bytes.len().checked_sub(4)?;
    bytes.get_mut(12..20)?.copy_from_slice(&(input.len() as u64).to_le_bytes());
    let crc = crc32fast::hash(bytes.get(..end)?);
    bytes.get_mut(end..)?.copy_from_slice(&crc.to_le_bytes());
    Some(bytes)
}

/// Every value of a parsed bundle is there and finite.
fn read_all(bundle: &Bundle<'_>) {
    let config = bundle.config();
    for layer in 0..=config.hidden_layers {
        let steps = (0..config.inner_steps).map(|step| bundle.alpha(step, layer));
        for layer in steps.chain([bundle.theta(layer)]) {
            matrix(&layer.weight);
            vector(&layer.bias, config.dim);
        }
        if layer > 0 {
            matrix(&bundle.beta(layer));
        }
    }
    let head = bundle.siren_head();
    matrix(&head.weight);
    vector(&head.bias, config.channels);
    vector(&head.scale, config.channels);
    for block in (0..config.blocks).map(|block| bundle.block(block)) {
        for m in [&block.query, &block.key, &block.value] {
            matrix(m);
        }
        for linear in [block.attn_out, block.mlp1, block.mlp2] {
            matrix(&linear.weight);
            vector(&linear.bias, linear.weight.columns);
        }
        let norms =
            [block.norm1, block.norm2].into_iter().flat_map(|norm| [norm.weight, norm.bias]);
        for v in norms.chain([block.layer_scale1, block.layer_scale2]) {
            vector(&v, config.dim);
        }
    }
    for linear in [bundle.project_in(), bundle.to_logits()] {
        matrix(&linear.weight);
        vector(&linear.bias, linear.weight.columns);
    }
    for sample in bundle.golden_samples() {
        let numbers = config.extents.positions() * config.channels;
        assert_eq!(sample.signal.len(), numbers * bundle.header().input.sample.bytes());
        vector(&sample.logits, config.classes);
    }
    assert_eq!(bundle.header().labels().count(), config.classes);
}

/// A value that a short matrix left unread would be this.
const UNREAD: f32 = f32::NAN;

fn matrix(matrix: &Matrix<'_>) {
    let mut row = vec![UNREAD; matrix.columns];
    for i in 0..matrix.rows {
        row.fill(UNREAD);
        matrix.read(i, 0, &mut row);
        assert!(row.iter().all(|v| v.is_finite()));
    }
}

fn vector(vector: &Vector<'_>, len: usize) {
    assert_eq!(vector.len(), len);
    assert!(vector.iter().all(f32::is_finite));
}

/// The bits of the logits of an image and of scattered samples that both follow from the input; `None` after an error.
fn logits(bundle: &Bundle<'_>, isa: Isa, input: &[u8], workspace: &mut [f32]) -> Option<Vec<u32>> {
    let config = bundle.config();
    let mut classifier = Classifier::new(bundle, workspace).expect("room enough").with_isa(isa);
    let mut bits = Vec::new();
    let mut collect = |classifier: &mut Classifier<'_, '_>| {
        let logits = classifier.logits().ok()?;
        assert!(logits.len() == config.classes && logits.iter().all(|l| l.is_finite()));
        bits.extend(logits.iter().map(|l| l.to_bits()));
        Some(())
    };
    let bytes = input.iter().rev().copied().cycle();
    let image_len = config.extents.positions();
    let image: Vec<u8> = bytes.take(image_len * config.channels).collect();
    let image = Signal::new(&image[..], config.extents, config.channels).expect("the right size");
    classifier.fit(&image).ok().and_then(|_| collect(&mut classifier))?;
    if let Ok(quality) = classifier.quality(&image) {
        // Infinite dB are those of no error at all.
        assert!(quality.mse.is_finite() && !quality.psnr.is_nan());
    }
    let mut values = vec![0.0; config.channels];
    if classifier.reconstruct_at(&[0.3, 1e9, -7.0][..config.axes()], &mut values).is_ok() {
        assert!(values.iter().all(|v| v.is_finite()));
    }
    // Coordinates and values of any bits at all, those of the file's end; an image of which some are missing.
    let floats: Vec<_> =
        input.as_rchunks().1.iter().rev().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let (axes, channels) = (config.axes(), config.channels);
    if let Some((at, values)) = floats.split_at_checked(4 * axes)
        && let Some(values) = values.get(..4 * channels)
    {
        let samples = Scattered::new(at, axes, Numbers::Scaled(values), channels).expect("four");
        if classifier.fit(&samples).is_ok() {
            let _ = collect(&mut classifier);
        }
    }
    let there: Vec<u8> = input.iter().copied().cycle().take(image_len.div_ceil(8)).collect();
    if classifier.fit(&image.with_bits(&there).expect("enough bits")).is_ok() {
        let _ = collect(&mut classifier);
    }
    // Whatever the bundle's own answers are, this says yes or no.
    let _ = classifier.self_test();
    Some(bits)
}
