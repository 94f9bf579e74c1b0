//! The kernels through NVIDIA's compiler, for a card that this machine need not have.

use cubecl::Compiler;
use cubecl::KernelSettings;
use cubecl::cuda::{CudaCompiler, CudaRuntime};
use cubecl::prelude::*;
use cudarc::nvrtc::{CompileOptions, compile_ptx_with_opts};

use super::DIM;
use super::kernels::work::Sizes;
use super::kernels::{attention, columns, inner_loop, pointwise, readout, rowwise, update};
use crate::backend::cuda_compiler;

/// A tensor that is no other's memory.
const TENSOR: TensorCompilationArg = TensorCompilationArg { inplace: None };

/// A kernel's parameters as its launch registers them, which would take a device.
struct Parameters(KernelBuilder);

impl Parameters {
    fn new() -> Self {
        let mut builder = KernelBuilder::default();
        builder.runtime_properties(CudaRuntime::target_properties());
        AddressType::U32.register(&mut builder.scope);
        Self(builder)
    }

    fn input(&mut self) -> NativeExpand<Tensor<f32>> {
        <Tensor<f32> as LaunchArg>::expand(&TENSOR, &mut self.0)
    }

    fn output(&mut self) -> NativeExpand<Tensor<f32>> {
        <Tensor<f32> as LaunchArg>::expand_output(&TENSOR, &mut self.0)
    }

    fn scalar(&mut self) -> NativeExpand<f32> {
        <f32 as LaunchArg>::expand(&Default::default(), &mut self.0)
    }

    /// What NVIDIA's compiler is handed.
    fn source(self, name: &str) -> String {
        self.source_of(name, DIM)
    }

    fn source_of(self, name: &str, threads: CubeDim) -> String {
        let settings = KernelSettings::default().cube_dim(threads).kernel_name(name);
        let definition = self.0.build(settings);
        let address = AddressType::U32.unsigned_type();
        let options = Default::default();
        let mut compiler = CudaCompiler::default();
        let source = compiler.compile(definition, &options, ExecutionMode::Checked, address);
        source.expect("a kernel that CUDA can express").to_string()
    }
}

/// Every kernel, with and without what is optional.
fn sources() -> Vec<String> {
    [between(), fused(), heads(), rows(), probs(), attention(), pieces(), optimiser()].concat()
}

/// What lies between the inner loop's products, where they are the back end's.
fn between() -> Vec<String> {
    let mut sources = Vec::new();
    let mut p = Parameters::new();
    let (inputs, outputs) = ([p.input(), p.input()], [p.output(), p.output()]);
    let ([z, bias], [sine, cosine], omega) = (inputs, outputs, p.scalar());
    pointwise::sine::expand(&mut p.0.scope, z, bias, sine, cosine, omega);
    sources.push(p.source("sine"));
    for given in [false, true] {
        let mut p = Parameters::new();
        let [a, h, more, cosine] = std::array::from_fn(|_| p.input());
        let ([z, sum], omega) = ([p.output(), p.output()], p.scalar());
        let scope = &mut p.0.scope;
        pointwise::sine_backward::expand(scope, a, h, more, cosine, z, sum, omega, given, given);
        sources.push(p.source("sine_backward"));

        let mut p = Parameters::new();
        let [direct, below, bias, delta, sine, cosine] = std::array::from_fn(|_| p.input());
        let ([d, a], omega) = ([p.output(), p.output()], p.scalar());
        let scope = &mut p.0.scope;
        pointwise::gate_backward::expand(
            scope, direct, below, bias, delta, sine, cosine, d, a, omega, given,
        );
        sources.push(p.source("gate_backward"));
    }
    let mut p = Parameters::new();
    let [phi, through, gradient, alpha] = std::array::from_fn(|_| p.input());
    let [sum, theta, rate, bar] = std::array::from_fn(|_| p.output());
    let scope = &mut p.0.scope;
    pointwise::descend_backward::expand(
        scope, phi, through, gradient, alpha, sum, theta, rate, bar,
    );
    sources.push(p.source("descend_backward"));
    sources
}

/// The inner loop's steps, of `base` in colour.
fn fused() -> Vec<String> {
    let mut sources = Vec::new();
    let sizes = Sizes { axes: 2, dim: 128, hidden_layers: 4, channels: 3 };
    let threads = super::inner_loop::DIM;
    let mut p = Parameters::new();
    let [theta, alpha, head, x, t, offsets] = std::array::from_fn(|_| p.input());
    let [work, gradient, next] = std::array::from_fn(|_| p.output());
    let (omega, mean, scope) = (p.scalar(), p.scalar(), &mut p.0.scope);
    inner_loop::descend::expand(
        scope, theta, alpha, head, x, t, offsets, work, gradient, next, omega, mean, sizes,
    );
    sources.push(p.source_of("descend", threads));

    let mut p = Parameters::new();
    let [theta, head, x, t, offsets] = std::array::from_fn(|_| p.input());
    let [work, losses] = std::array::from_fn(|_| p.output());
    let (omega, mean, scope) = (p.scalar(), p.scalar(), &mut p.0.scope);
    inner_loop::loss::expand(scope, theta, head, x, t, offsets, work, losses, omega, mean, sizes);
    sources.push(p.source_of("loss", threads));

    let mut p = Parameters::new();
    let [theta, head, x, t, offsets, bar] = std::array::from_fn(|_| p.input());
    let [work, through, head_bar] = std::array::from_fn(|_| p.output());
    let (omega, mean, scope) = (p.scalar(), p.scalar(), &mut p.0.scope);
    inner_loop::loss_backward::expand(
        scope, theta, head, x, t, offsets, bar, work, through, head_bar, omega, mean, sizes,
    );
    sources.push(p.source_of("loss_backward", threads));

    let mut p = Parameters::new();
    let [theta, head, x, t, offsets, bar] = std::array::from_fn(|_| p.input());
    let [work, through, head_bar] = std::array::from_fn(|_| p.output());
    let (omega, mean, scope) = (p.scalar(), p.scalar(), &mut p.0.scope);
    inner_loop::step_backward::expand(
        scope, theta, head, x, t, offsets, bar, work, through, head_bar, omega, mean, sizes,
    );
    sources.push(p.source_of("step_backward", threads));
    sources
}

/// The SIREN's head.
fn heads() -> Vec<String> {
    let mut sources = Vec::new();
    let mut p = Parameters::new();
    let [product, bias, scale, target] = std::array::from_fn(|_| p.input());
    let ([raw, error, scaled], mean) = (std::array::from_fn(|_| p.output()), p.scalar());
    let scope = &mut p.0.scope;
    readout::readout::expand(scope, product, bias, scale, target, raw, error, scaled, mean);
    sources.push(p.source("readout"));
    for given in [false, true] {
        let mut p = Parameters::new();
        let [bar, error, raw, scale] = std::array::from_fn(|_| p.input());
        let ([raw_bar, bias, out], mean) = (std::array::from_fn(|_| p.output()), p.scalar());
        let scope = &mut p.0.scope;
        readout::readout_backward::expand(
            scope, bar, error, raw, scale, raw_bar, bias, out, mean, given,
        );
        sources.push(p.source("readout_backward"));
    }
    sources
}

/// What lies between the Transformer's products.
fn rows() -> Vec<String> {
    let mut sources = Vec::new();
    let mut p = Parameters::new();
    let ([x, weight, bias], y) = (std::array::from_fn(|_| p.input()), p.output());
    let epsilon = p.scalar();
    rowwise::layer_norm::expand(&mut p.0.scope, x, weight, bias, y, epsilon);
    sources.push(p.source("layer_norm"));

    let mut p = Parameters::new();
    let [x, weight, y_bar, beside] = std::array::from_fn(|_| p.input());
    let ([x_bar, w_bar, b_bar], epsilon) = (std::array::from_fn(|_| p.output()), p.scalar());
    let scope = &mut p.0.scope;
    rowwise::layer_norm_backward::expand(
        scope, x, weight, y_bar, beside, x_bar, w_bar, b_bar, epsilon, 4,
    );
    sources.push(p.source("layer_norm_backward"));

    let mut p = Parameters::new();
    let ([x, product, bias, scale], out) = (std::array::from_fn(|_| p.input()), p.output());
    columns::residual::expand(&mut p.0.scope, x, product, bias, scale, out);
    sources.push(p.source("residual"));

    let mut p = Parameters::new();
    let [out_bar, product, bias, scale] = std::array::from_fn(|_| p.input());
    let [p_bar, b_bar, s_bar] = std::array::from_fn(|_| p.output());
    let scope = &mut p.0.scope;
    columns::residual_backward::expand(scope, out_bar, product, bias, scale, p_bar, b_bar, s_bar);
    sources.push(p.source("residual_backward"));

    let mut p = Parameters::new();
    let ([product, bias], [gelu, slope]) = ([p.input(), p.input()], [p.output(), p.output()]);
    columns::gelu_slope::expand(&mut p.0.scope, product, bias, gelu, slope);
    sources.push(p.source("gelu_slope"));

    let mut p = Parameters::new();
    let ([hidden, slope], [z, bias]) = ([p.input(), p.input()], [p.output(), p.output()]);
    columns::gelu_backward::expand(&mut p.0.scope, hidden, slope, z, bias);
    sources.push(p.source("gelu_backward"));
    sources
}

fn probs() -> Vec<String> {
    let mut sources = Vec::new();
    let mut p = Parameters::new();
    let (scores, probs, scale) = (p.input(), p.output(), p.scalar());
    rowwise::attention_probs::expand(&mut p.0.scope, scores, probs, scale);
    sources.push(p.source("attention_probs"));

    let mut p = Parameters::new();
    let ([probs, bar], out, scale) = ([p.input(), p.input()], p.output(), p.scalar());
    rowwise::attention_probs_backward::expand(&mut p.0.scope, probs, bar, out, scale);
    sources.push(p.source("attention_probs_backward"));
    sources
}

/// Attention in one kernel, of two heads of as many values as the largest have.
fn attention() -> Vec<String> {
    let mut sources = Vec::new();
    let mut p = Parameters::new();
    let (qkv, [gathered, log_sums], scale) = (p.input(), [p.output(), p.output()], p.scalar());
    attention::attend::expand(&mut p.0.scope, qkv, gathered, log_sums, scale, 64);
    sources.push(p.source_of("attend", super::attention::DIM));

    let mut p = Parameters::new();
    let [qkv, gathered, bar, log_sums] = std::array::from_fn(|_| p.input());
    let ([bars, along], scale) = ([p.output(), p.output()], p.scalar());
    let scope = &mut p.0.scope;
    attention::query_backward::expand(
        scope, qkv, gathered, bar, log_sums, bars, along, scale, 2, 64,
    );
    sources.push(p.source_of("query_backward", super::attention::DIM));

    let mut p = Parameters::new();
    let [qkv, bar, log_sums, along] = std::array::from_fn(|_| p.input());
    let (bars, scale) = (p.output(), p.scalar());
    let scope = &mut p.0.scope;
    attention::key_backward::expand(scope, qkv, bar, log_sums, along, bars, scale, 2, 64);
    sources.push(p.source_of("key_backward", super::attention::DIM));

    let mut p = Parameters::new();
    let [qkv, bar, log_sums] = std::array::from_fn(|_| p.input());
    let (bars, scale) = (p.output(), p.scalar());
    attention::value_backward::expand(&mut p.0.scope, qkv, bar, log_sums, bars, scale, 2, 64);
    sources.push(p.source_of("value_backward", super::attention::DIM));
    sources
}

/// Three pieces, of one term, of two and of three.
fn pieces() -> Vec<String> {
    let sources = [false, true].map(|summed| {
        let mut p = Parameters::new();
        let terms = |count: usize| (0..count).map(|_| TENSOR).collect();
        let pieces: SequenceCompilationArg<_> = [1, 2, 3].map(terms).into_iter().collect();
        let pieces = <Sequence<Sequence<Tensor<f32>>> as LaunchArg>::expand(&pieces, &mut p.0);
        let (out, start) = (p.output(), <u32 as LaunchArg>::expand(&Default::default(), &mut p.0));
        super::kernels::pieces::pack::expand(&mut p.0.scope, pieces, out, start, summed);
        p.source("pack")
    });
    sources.to_vec()
}

fn optimiser() -> Vec<String> {
    let mut sources = Vec::new();
    let mut p = Parameters::new();
    let (gradient, sums) = (p.input(), p.output());
    update::squares::expand(&mut p.0.scope, gradient, sums);
    sources.push(p.source("squares"));

    let mut p = Parameters::new();
    let (sums, norm) = (p.input(), p.output());
    update::root_of_sum::expand(&mut p.0.scope, sums, norm);
    sources.push(p.source("root_of_sum"));

    let mut p = Parameters::new();
    let [values, gradient, norm, m, v] = std::array::from_fn(|_| p.input());
    let [next_values, next_m, next_v] = std::array::from_fn(|_| p.output());
    let [a, b, c, d, e, f, g, h, i, j] = std::array::from_fn(|_| p.scalar());
    let scope = &mut p.0.scope;
    update::adamw::expand(
        scope,
        values,
        gradient,
        norm,
        m,
        v,
        next_values,
        next_m,
        next_v,
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        i,
        j,
    );
    sources.push(p.source("adamw"));
    sources
}

/// sm_90 is Hopper.
#[test]
fn kernels_compile_for_hopper() {
    let sources = sources();
    if let Err(why) = cuda_compiler() {
        eprintln!("skipped kernels_compile_for_hopper: {why}");
        return;
    }
    let include = cubecl::cuda::install::include_path();
    for source in sources {
        let options = CompileOptions {
            arch: Some("sm_90"),
            include_paths: vec![include.display().to_string()],
            ..Default::default()
        };
        let compiled = compile_ptx_with_opts(&source, options);
        let ptx = compiled.unwrap_or_else(|e| panic!("{e:?}\n{source}")).to_src();
        assert!(ptx.contains(".target sm_90") && ptx.contains(".entry"), "{ptx}");
    }
}
