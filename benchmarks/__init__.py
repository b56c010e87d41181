"""Programs that people write, timed side by side: lazyxla, PyTorch and hand-written jax. ``python -m benchmarks``."""
