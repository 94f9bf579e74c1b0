//! The back ends that this program was built with.

/// A burn back end of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BackendName {
    /// burn's flex: any CPU.
    Cpu,
    /// NVIDIA GPUs. Needs a build with `--features cuda`.
    Cuda,
    /// Vulkan, Metal or DirectX GPUs. Needs a build with `--features wgpu`.
    Wgpu,
}

/// Why a back end cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The program was built without it.
    #[error(
        "this program was built without {feature}; build it with `cargo build --release -p mwt-train --features \
         {feature}`"
    )]
    NotBuilt {
        /// The feature that builds it.
        feature: &'static str,
    },
    /// There is no NVIDIA GPU, or its driver is not installed.
    #[error("no NVIDIA GPU found (no /dev/nvidiactl): use --backend cpu")]
    NoNvidiaGpu,
    /// NVIDIA's compiler of kernels or its headers are not installed.
    #[error(
        "CUDA's compiler of kernels was not found: install CUDA 13, or pip install nvidia-cuda-nvrtc \
         nvidia-cuda-runtime nvidia-cuda-crt and set LD_LIBRARY_PATH and CUDA_PATH (docs/TRAINING.md)"
    )]
    NoNvrtc,
    /// Neither Vulkan, Metal nor DirectX offers a GPU.
    #[error("no GPU found through Vulkan, Metal or DirectX: use --backend cpu")]
    NoAdapter,
}

impl BackendName {
    /// Whether this program can use the back end.
    ///
    /// # Errors
    /// What is missing.
    pub fn check(self) -> Result<(), BackendError> {
        let (built, feature) = match self {
            Self::Cpu => (cfg!(feature = "cpu"), "cpu"),
            Self::Cuda => (cfg!(feature = "cuda"), "cuda"),
            Self::Wgpu => (cfg!(feature = "wgpu"), "wgpu"),
        };
        if !built {
            return Err(BackendError::NotBuilt { feature });
        }
        match self {
            #[cfg(feature = "cuda")]
            Self::Cuda => cuda_driver().and_then(|()| cuda_compiler()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => wgpu_adapter(),
            _ => Ok(()),
        }
    }
}

/// Whether the CUDA driver is there: asked before burn does, which would panic in a worker thread.
#[cfg(feature = "cuda")]
fn cuda_driver() -> Result<(), BackendError> {
    // NVIDIA's driver makes these nodes; in a container they are passed through with the GPU.
    let node = std::path::Path::new("/dev/nvidiactl").exists();
    let wsl = std::path::Path::new("/dev/dxg").exists();
    if node || wsl || cfg!(windows) { Ok(()) } else { Err(BackendError::NoNvidiaGpu) }
}

/// Whether NVIDIA's compiler of kernels and its headers are there, for which burn would panic as well.
#[cfg(feature = "cuda")]
pub(crate) fn cuda_compiler() -> Result<(), BackendError> {
    // SAFETY: loads a library by its names, whose initialisers do nothing but set itself up.
    let there = unsafe { cudarc::nvrtc::sys::is_culib_present() };
    let headers = cubecl::cuda::install::cuda_path().is_some();
    if there && headers { Ok(()) } else { Err(BackendError::NoNvrtc) }
}

/// Whether there is an adapter. burn panics where there is none, so it is let do so here, in silence.
#[cfg(feature = "wgpu")]
fn wgpu_adapter() -> Result<(), BackendError> {
    use burn::tensor::backend::Backend;
    static FOUND: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let device = Default::default();
        let found = std::panic::catch_unwind(|| burn::backend::Wgpu::<f32, i32>::sync(&device));
        std::panic::set_hook(hook);
        matches!(found, Ok(Ok(())))
    });
    if *found { Ok(()) } else { Err(BackendError::NoAdapter) }
}

/// The number of the GPU that this process computes on.
static DEVICE: std::sync::OnceLock<usize> = std::sync::OnceLock::new();

/// Chooses the GPU of this process by its number, as where several train together on one machine; the first when nothing is
/// said. Counts before anything is computed.
pub fn set_device(number: usize) {
    let _ = DEVICE.set(number);
}

/// CUDA's device for this process.
#[cfg(feature = "cuda")]
pub fn cuda_device() -> burn::backend::cuda::CudaDevice {
    burn::backend::cuda::CudaDevice::new(DEVICE.get().copied().unwrap_or(0))
}

/// wgpu's device for this process: the best there is, or one of several.
#[cfg(feature = "wgpu")]
pub fn wgpu_device() -> burn::backend::wgpu::WgpuDevice {
    match DEVICE.get() {
        Some(number @ 1..) => burn::backend::wgpu::WgpuDevice::DiscreteGpu(*number),
        _ => Default::default(),
    }
}

/// Runs `$body` with `$B` as the autodiff back end of that name and `$device` as this process's device.
/// [`BackendName::check`] must have passed.
#[macro_export]
macro_rules! with_backend {
    ($name:expr, $B:ident, $device:ident => $body:expr) => {
        match $name {
            #[cfg(feature = "cpu")]
            $crate::backend::BackendName::Cpu => {
                type $B = burn::backend::Autodiff<burn::backend::Flex>;
                let $device = Default::default();
                $body
            }
            #[cfg(feature = "cuda")]
            $crate::backend::BackendName::Cuda => {
                type $B = burn::backend::Autodiff<burn::backend::Cuda>;
                let $device = $crate::backend::cuda_device();
                $body
            }
            #[cfg(feature = "wgpu")]
            $crate::backend::BackendName::Wgpu => {
                type $B = burn::backend::Autodiff<burn::backend::Wgpu>;
                let $device = $crate::backend::wgpu_device();
                $body
            }
            #[allow(unreachable_patterns)]
            _ => unreachable!("checked before"),
        }
    };
}
