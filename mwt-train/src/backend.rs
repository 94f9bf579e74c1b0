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

impl BackendName {
    /// Whether this program was built with the back end.
    ///
    /// # Errors
    /// One line that says how to build it.
    pub fn check(self) -> Result<(), String> {
        let (built, feature) = match self {
            Self::Cpu => (cfg!(feature = "cpu"), "cpu"),
            Self::Cuda => (cfg!(feature = "cuda"), "cuda"),
            Self::Wgpu => (cfg!(feature = "wgpu"), "wgpu"),
        };
        if !built {
            return Err(format!(
                "this program was built without {feature}; build it with `cargo build --release -p \
                 mwt-train --features {feature}`"
            ));
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
fn cuda_driver() -> Result<(), String> {
    // NVIDIA's driver makes these nodes; in a container they are passed through with the GPU.
    let node = std::path::Path::new("/dev/nvidiactl").exists();
    let wsl = std::path::Path::new("/dev/dxg").exists();
    if node || wsl || cfg!(windows) {
        Ok(())
    } else {
        Err("no NVIDIA GPU found (no /dev/nvidiactl): use --backend cpu".into())
    }
}

/// Whether NVIDIA's compiler of kernels and its headers are there, for which burn would panic as well.
#[cfg(feature = "cuda")]
pub(crate) fn cuda_compiler() -> Result<(), String> {
    // SAFETY: loads a library by its names, whose initialisers do nothing but set itself up.
    let there = unsafe { cudarc::nvrtc::sys::is_culib_present() };
    if there && cubecl::cuda::install::cuda_path().is_some() {
        return Ok(());
    }
    Err("CUDA's compiler of kernels was not found: install CUDA 13, or pip install nvidia-cuda-nvrtc \
         nvidia-cuda-runtime nvidia-cuda-crt and set LD_LIBRARY_PATH and CUDA_PATH (docs/TRAINING.md)"
        .into())
}

/// Whether there is an adapter: burn panics where there is none, so it is let do so here, in silence.
#[cfg(feature = "wgpu")]
fn wgpu_adapter() -> Result<(), String> {
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
    if *found {
        Ok(())
    } else {
        Err("no GPU found through Vulkan, Metal or DirectX: use --backend cpu".into())
    }
}

/// Runs `$body` with `$B` as the autodiff back end of that name and `$device` as its default device.
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
                let $device = Default::default();
                $body
            }
            #[cfg(feature = "wgpu")]
            $crate::backend::BackendName::Wgpu => {
                type $B = burn::backend::Autodiff<burn::backend::Wgpu>;
                let $device = Default::default();
                $body
            }
            #[allow(unreachable_patterns)]
            _ => unreachable!("checked before"),
        }
    };
}
