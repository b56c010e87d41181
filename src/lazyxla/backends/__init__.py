"""The switches that programs set on ``torch.backends``.

They are kept, so that what was set can be read, but decide nothing: XLA chooses algorithms and precision by itself.
"""

from . import cpu, cuda, cudnn, mkl, mkldnn, mps, openmp, opt_einsum

__all__ = ["cpu", "cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp", "opt_einsum"]
