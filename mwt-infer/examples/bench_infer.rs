//! Times one image: pixel indices ready → k inner steps → tokens → logits, on one thread.
//!
//! ```sh
//! bench_infer BUNDLE.mwt INPUTS.safetensors `[SECONDS]` `[ISA]` `[IMAGES]` `[f32|int8]`
//! ```
//! The inputs hold `images` `[N, C, H, W]` in [-1, 1], `indices` `[k or more, N, P]`, `coords` `[H·W, 2]` and the
//! expected `logits` `[N, K]`. One line of JSON per instruction set and arithmetic: median and least CPU time and
//! median wall time in milliseconds, and the largest distance of a logit. At least IMAGES images, 10 unless given, whatever the SECONDS. Pin the thread from outside, with `taskset -c`.

use std::error::Error;
use std::time::{Duration, Instant};

use mwt_infer::{
    Arithmetic, Bundle, Classifier, Isa, ModelConfig, Numbers, Scattered, WorkspaceBuf,
};
use safetensors::SafeTensors;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bundle, inputs, rest @ ..] = &arguments[..] else {
        return Err(
            "usage: bench_infer BUNDLE.mwt INPUTS.safetensors [SECONDS] [ISA] [IMAGES] [f32|int8]"
                .into(),
        );
    };
    let seconds = Duration::from_secs_f64(rest.first().map_or(Ok(4.0), |s| s.parse())?);
    let wanted = rest.get(1);
    let least = rest.get(2).map_or(Ok(10), |n| n.parse())?;
    let limits = (seconds, least);
    let arithmetics = match rest.get(3).map(String::as_str) {
        None => &[Arithmetic::F32, Arithmetic::Int8][..],
        Some("f32") => &[Arithmetic::F32],
        Some("int8") => &[Arithmetic::Int8],
        Some(other) => return Err(format!("no arithmetic is called {other}").into()),
    };
    let (bundle, inputs) = (std::fs::read(bundle)?, std::fs::read(inputs)?);
    let bundle = Bundle::parse(&bundle)?;
    let inputs = SafeTensors::deserialize(&inputs)?;
    for isa in Isa::all_available().filter(|isa| wanted.is_none_or(|w| w == isa.name())) {
        for arithmetic in arithmetics {
            run(&bundle, &inputs, isa, *arithmetic, limits)?;
        }
    }
    Ok(())
}

fn run(
    bundle: &Bundle<'_>,
    inputs: &SafeTensors<'_>,
    isa: Isa,
    arithmetic: Arithmetic,
    (seconds, least): (Duration, usize),
) -> Result<(), Box<dyn Error>> {
    let config = *bundle.config();
    let (coordinates, images) = images(inputs, &config)?;
    let source = |n: usize| {
        let values: &Vec<f32> = &images[n];
        Scattered::new(&coordinates, config.axes(), Numbers::Scaled(values), config.channels)
    };
    let indices = indices(inputs, &config, images.len())?;
    let expected = floats(inputs, "logits")?;
    let mut workspace = WorkspaceBuf::new(&config);
    let mut classifier = Classifier::new(bundle, workspace.as_mut_slice())?.with_isa(isa);
    classifier.set_arithmetic(arithmetic);

    let mut error = 0.0f32;
    for (image, indices) in indices.iter().enumerate() {
        classifier.fit_indices(&source(image)?, indices)?;
        let expected = expected.iter().skip(image * config.classes);
        for (got, want) in classifier.logits()?.iter().zip(expected) {
            error = error.max((got - want).abs());
        }
    }

    let (mut cpu, mut wall, start) = (Vec::new(), Vec::new(), Instant::now());
    while start.elapsed() < seconds || cpu.len() < least {
        let n = cpu.len() % images.len();
        let (before, cpu_before) = (Instant::now(), cpu_time());
        classifier.fit_indices(&source(n)?, &indices[n])?;
        std::hint::black_box(classifier.logits()?);
        cpu.push(cpu_time() - cpu_before);
        wall.push(before.elapsed().as_secs_f64());
    }
    println!(
        "{{\"isa\": \"{}\", \"arithmetic\": \"{arithmetic:?}\", \"cpu_ms\": {:.4}, \"min_ms\": {:.4}, \"wall_ms\": {:.4}, \"n\": {}, \"gflops\": {:.1}, \"max_abs_logit_err\": {error:.2e}}}",
        isa.name(),
        1e3 * median(&mut cpu),
        1e3 * cpu.first().copied().unwrap_or_default(),
        1e3 * median(&mut wall),
        cpu.len(),
        2e-9 * (config.fit_macs() + config.transformer_macs()) as f64 / median(&mut cpu),
    );
    Ok(())
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// CPU seconds of this process.
fn cpu_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + 1e-9 * time.tv_nsec as f64
}

fn floats(inputs: &SafeTensors<'_>, name: &str) -> Result<Vec<f32>, Box<dyn Error>> {
    let data = inputs.tensor(name)?.data().as_chunks::<4>().0;
    Ok(data.iter().map(|b| f32::from_le_bytes(*b)).collect())
}

/// Coordinates of the pixels, and each image's values, channels interleaved.
type Images = (Vec<f32>, Vec<Vec<f32>>);

fn images(inputs: &SafeTensors<'_>, config: &ModelConfig) -> Result<Images, Box<dyn Error>> {
    let (values, coordinates) = (floats(inputs, "images")?, floats(inputs, "coords")?);
    let (pixels, channels) = (config.extents.positions(), config.channels);
    let interleaved = |image: &[f32]| {
        (0..pixels * channels).map(|i| image[i % channels * pixels + i / channels]).collect()
    };
    Ok((coordinates, values.chunks_exact(channels * pixels).map(interleaved).collect()))
}

/// Each image's indices, `[k, P]`.
fn indices(
    inputs: &SafeTensors<'_>,
    config: &ModelConfig,
    images: usize,
) -> Result<Vec<Vec<u32>>, Box<dyn Error>> {
    let data = inputs.tensor("indices")?.data().as_chunks::<4>().0;
    let all: Vec<u32> = data.iter().map(|b| u32::from_le_bytes(*b)).collect();
    let p = config.pixels_per_step;
    let draw = |step: usize, image: usize| all[(step * images + image) * p..][..p].iter().copied();
    Ok((0..images).map(|n| (0..config.inner_steps).flat_map(|j| draw(j, n)).collect()).collect())
}
