"""The short-time Fourier transform and its inverse."""

from __future__ import annotations

from typing import Any

from ..lazy import Tensor
from ..lazy import public as lx
from ..lazy.functions._register import both
from ..lazy.functions.shape import pad_zeros
from ..lazy.record import user_line
from . import transforms


def _settings(
    name: str, n_fft: int, hop_length: int | None, win_length: int | None, window: Any, like: Tensor
) -> tuple[int, Tensor]:
    """The hop, and the window with n_fft places."""
    hop = n_fft // 4 if hop_length is None else hop_length
    width = n_fft if win_length is None else win_length
    if hop <= 0:
        raise RuntimeError(f"{name}: expected hop_length > 0, but got hop_length={hop}  ({user_line()})")
    if not 0 < width <= n_fft:
        raise RuntimeError(f"{name}: expected 0 < win_length <= n_fft, but got win_length={width}  ({user_line()})")
    if window is None:
        window = lx["ones"](width, dtype=like.dtype.to_real(), device=like.device)
    if tuple(window.shape) != (width,):
        raise RuntimeError(
            f"{name}: expected a 1D window tensor of size equal to win_length={width}, but got window with size "
            f"{list(window.shape)}  ({user_line()})"
        )
    left = (n_fft - width) // 2
    return hop, pad_zeros(window, [left], [n_fft - width - left]) if width < n_fft else window


@both
def stft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None, window: Tensor | None = None,
    center: bool = True, pad_mode: str = "reflect", normalized: bool = False, onesided: bool | None = None,
    return_complex: bool | None = None, align_to_window: bool | None = None,
) -> Tensor:  # fmt: skip
    """Transforms of windows of n_fft samples, one every ``hop_length`` (n_fft // 4): [B, frequencies, frames].

    input: [samples] or [B, samples]. With ``center`` it is first continued by n_fft // 2 at both ends as ``pad_mode`` says.
    ``onesided`` (for real input, unless told otherwise) keeps n_fft // 2 + 1 frequencies. ``return_complex`` must be said
    for real input; False gives pairs of real numbers in a last dim.
    """
    if input.ndim not in (1, 2):
        raise RuntimeError(f"stft: expected a 1D or 2D tensor, got {list(input.shape)}  ({user_line()})")
    if not input.dtype.is_inexact:
        raise RuntimeError(
            f"stft: expected a tensor of floating point or complex values, got {input.dtype.name}  ({user_line()})"
        )
    is_complex = input.dtype.is_complex or (window is not None and window.dtype.is_complex)
    if return_complex is None:
        if not is_complex:
            raise RuntimeError(
                "stft requires the return_complex parameter be given for real inputs, and will further require that "
                f"return_complex=True in a future PyTorch release.  ({user_line()})"
            )
        return_complex = True
    if center and align_to_window is not None:
        raise RuntimeError(f"stft: align_to_window should only be set when center = false  ({user_line()})")
    hop, frame = _settings("stft", n_fft, hop_length, win_length, window, input)
    x = input if input.ndim == 2 else input.unsqueeze(0)
    if center:
        from ..nn.functional import pad

        x = pad(x.unsqueeze(1), (n_fft // 2, n_fft // 2), pad_mode).squeeze(1)
    elif align_to_window:
        left = (n_fft - (win_length or n_fft)) // 2
        x = pad_zeros(x, [0, left], [0, left])
    if not 0 < n_fft <= x.shape[-1]:
        raise RuntimeError(f"stft: expected 0 < n_fft <= {x.shape[-1]}, but got n_fft={n_fft}  ({user_line()})")
    if is_complex and onesided:
        raise RuntimeError(f"Cannot have onesided output if window or input is complex  ({user_line()})")
    frames = x.unfold(-1, n_fft, hop) * frame
    norm = "ortho" if normalized else None
    whole = is_complex or (onesided is not None and not onesided)
    out = (transforms.fft if whole else transforms.rfft)(frames, norm=norm).mT
    out = out if input.ndim == 2 else out.squeeze(0)
    return out if return_complex else lx["view_as_real"](out)


@both
def istft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None, window: Tensor | None = None,
    center: bool = True, normalized: bool = False, onesided: bool | None = None, length: int | None = None,
    return_complex: bool = False,
) -> Tensor:  # fmt: skip
    """The signal, [samples] or [B, samples], whose ``stft`` comes nearest to the given one, by overlap and addition.

    Samples that no window covers with more than 0 are not determined, and come out as NaN or inf.
    """
    if input.ndim not in (2, 3) or not input.dtype.is_complex:
        raise RuntimeError(
            "istft requires a complex-valued input tensor of 2 or 3 dims matching the output from stft with "
            f"return_complex=True, got {input.dtype.name}{list(input.shape)}  ({user_line()})"
        )
    hop, frame = _settings("istft", n_fft, hop_length, win_length, window, input)
    x = input if input.ndim == 3 else input.unsqueeze(0)
    half = x.shape[1] != n_fft if onesided is None else onesided
    if x.shape[1] != (n_fft // 2 + 1 if half else n_fft):
        raise RuntimeError(
            f"istft: expected the frequency dimension (3rd to the last) of the input tensor to be "
            f"{n_fft // 2 + 1 if half else n_fft}, got {x.shape[1]}  ({user_line()})"
        )
    if return_complex and half:
        raise RuntimeError(f"cannot have onesided output if window or input is complex  ({user_line()})")
    norm = "ortho" if normalized else None
    count = x.shape[-1]
    if return_complex:
        frames = transforms.ifft(x.mT, norm=norm)
    else:
        frames = transforms.irfft(x[:, : n_fft // 2 + 1].mT, n_fft, norm=norm)
    total = n_fft + hop * (count - 1)
    signal = _added(frames * frame, hop, total)
    weight = _added((frame * frame).expand(1, count, n_fft), hop, total)
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else total - (n_fft // 2 if center else 0)
    signal = signal[:, start : min(end, total)] / weight[:, start : min(end, total)]
    if length is not None and signal.shape[1] < length:
        signal = pad_zeros(signal, [0, 0], [0, length - signal.shape[1]])
    return signal if input.ndim == 3 else signal.squeeze(0)


def _added(frames: Tensor, hop: int, total: int) -> Tensor:
    """[B, frames, n] laid ``hop`` apart and summed: [B, total]."""
    b, count, n = frames.shape
    places = lx["arange"](count, device=frames.device).unsqueeze(1) * hop + lx["arange"](n, device=frames.device)
    zero = lx["zeros"](b, total, dtype=frames.dtype, device=frames.device)
    return zero.index_add(1, places.reshape(-1), frames.reshape(b, count * n))


__all__ = ["istft", "stft"]
