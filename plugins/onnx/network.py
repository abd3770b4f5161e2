"""Runs an ONNX network by onnxruntime between a transform and its inverse."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sepbench.dsp.chunks import overlap_add
from sepbench.errors import SepbenchError

from .axes import batch_dimension, pack, shape, unpack
from .card import Card, Port

_PREFIX = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .* failed: ?)?")
"""The text before the reason in onnxruntime's errors, which repeats the path."""

_BATCH = 4
"""Batch size for networks with a free batch dimension."""


_KINDS = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}
"""The types of inputs by their names in onnxruntime."""


class Network:
    """Separates a mixture by the network of a card.

    Args:
        card: description of the network.
        device: device of the network, if onnxruntime supports it; else the CPU.
        note: called if it does not.
    """

    def __init__(self, card: Card, device: torch.device, note: Callable[[str], None]) -> None:
        self._card = card
        self._session = _session(Path(card.model), device, note)
        inputs = {port.name: port for port in self._session.get_inputs()}
        if not inputs:
            raise SepbenchError(
                f"{card.model}: a network without inputs; export it with the song's"
            )
        self._input = card.input.name or next(iter(inputs))
        if self._input not in inputs or (len(inputs) > 1 and not card.input.name):
            names = ", ".join(inputs)
            raise SepbenchError(f"{card.model}: its inputs are {names}; name one: input: name:")
        outputs = [port.name for port in self._session.get_outputs()]
        self._output = card.output.name or outputs[0]
        if self._output not in outputs:
            names = ", ".join(outputs)
            raise SepbenchError(f"{card.model}: its outputs are {names}; name one: output: name:")
        self._kind = _KINDS.get(inputs[self._input].type)
        if self._kind is None:
            raise SepbenchError(
                f"{card.model}: {self._input} is a {inputs[self._input].type}; "
                "export it for floating-point numbers"
            )
        self._batch, self._has_fixed_batch = self._checked(inputs[self._input].shape)
        self._window = self._weights().to(device)

    def separate(self, mixture: torch.Tensor, kept: slice = slice(None)) -> torch.Tensor:
        """Return the stems of a mixture; chunks outside of its ``kept`` part are left out.

        Shape:
            mixture: ``(channels, samples)``.
            stems: ``(stems, channels, samples)``, in the order of the card.
        """
        return overlap_add(
            mixture,
            self.apply,
            window=self._window,
            step=self._card.step,
            lead=self._card.first,
            batch=self._batch,
            kept=kept,
        )

    def apply(self, chunks: torch.Tensor) -> torch.Tensor:
        """Return the stems of chunks.

        Shape:
            chunks: ``(batch, channels, size)``.
            stems: ``(batch, stems, channels, size)``.
        """
        card = self._card
        if card.stft is None:
            fed = chunks[:, None, :, None, None]
            return self._run(fed)[:, :, :, 0, 0]
        spectrum = self._forward(chunks)
        if card.input.content == "complex":
            fed = torch.view_as_real(spectrum).movedim(-1, 2)[:, None]
        else:
            fed = spectrum.abs()[:, None, :, None]
        made = self._run(fed)
        if card.output.content == "complex":
            stems = torch.complex(made[:, :, :, 0], made[:, :, :, 1])
        elif card.output.content == "mask":
            stems = made[:, :, :, 0] * spectrum[:, None]
        else:
            phase = torch.polar(torch.ones_like(spectrum.abs()), spectrum.angle())
            stems = made[:, :, :, 0] * phase[:, None]
        return self._inverse(stems)

    def _forward(self, chunks: torch.Tensor) -> torch.Tensor:
        """Return the network's input spectra ``(batch, channels, bins, frames)``."""
        stft = self._card.stft
        assert stft is not None  # noqa: S101 - for the type checker
        batch, channels, size = chunks.shape
        spectrum = torch.stft(
            chunks.reshape(-1, size),
            stft.n_fft,
            stft.hop,
            window=torch.hann_window(stft.n_fft, device=chunks.device),
            center=True,
            pad_mode="reflect" if stft.pad == "reflect" else "constant",
            return_complex=True,
        )
        spectrum = spectrum[:, : stft.bins].clone()
        spectrum[:, : stft.silent_bins] = 0
        return spectrum.view(batch, channels, *spectrum.shape[1:])

    def _inverse(self, stems: torch.Tensor) -> torch.Tensor:
        stft = self._card.stft
        assert stft is not None  # noqa: S101 - for the type checker
        missing = stft.n_fft // 2 + 1 - stems.shape[-2]
        full = torch.nn.functional.pad(stems, (0, 0, 0, missing))
        made = torch.istft(
            full.reshape(-1, *full.shape[-2:]),
            stft.n_fft,
            stft.hop,
            window=torch.hann_window(stft.n_fft, device=stems.device),
            center=True,
            length=self._card.size,
        )
        return made.view(*stems.shape[:3], -1)

    def _run(self, fed: torch.Tensor) -> torch.Tensor:
        """Run the network on ``(b, 1, c, r, f, t)``; return ``(b, s, c, r, f, t)``."""
        count = len(fed)
        if self._has_fixed_batch and count < self._batch:
            fed = torch.cat([fed, fed.new_zeros(self._batch - count, *fed.shape[1:])])
        inputs = pack(fed, self._card.input.axes).cpu().numpy()
        inputs = np.ascontiguousarray(inputs, self._kind)
        (made,) = self._session.run([self._output], {self._input: inputs})
        sizes = {**self._sizes(self._card.output, len(fed)), "s": len(self._card.stems)}
        expected = shape(self._card.output.axes, sizes)
        if made.shape != expected:
            raise SepbenchError(
                f"{self._card.model}: {self._output} is {made.shape}, by the card {expected}: "
                "axes, stems and chunk must fit the network"
            )
        tensor = torch.from_numpy(made).to(fed.device, torch.float32)
        return unpack(tensor, self._card.output.axes, sizes)[:count]

    def _sizes(self, port: Port, batch: int) -> dict[str, int]:
        """Return the size of each axis of an input; of an output, for one stem."""
        card, stft = self._card, self._card.stft
        bins = 1 if stft is None else stft.bins or stft.n_fft // 2 + 1
        parts = 2 if port.content == "complex" else 1
        return {"b": batch, "s": 1, "c": card.channels, "r": parts, "f": bins, "t": card.chunk}

    def _checked(self, declared: list[int | str | None]) -> tuple[int, bool]:
        """Return the batch size and whether it is fixed; raise `SepbenchError` for other shapes."""
        place = batch_dimension(self._card.input.axes)
        known = declared[place] if place is not None and place < len(declared) else 1
        batch = known if isinstance(known, int) else _BATCH
        expected = shape(self._card.input.axes, self._sizes(self._card.input, batch))
        fits = len(expected) == len(declared) and all(
            not isinstance(size, int) or size == wanted
            for size, wanted in zip(declared, expected, strict=True)
        )
        if not fits:
            shown = ", ".join(map(str, declared))
            raise SepbenchError(
                f"{self._card.model}: {self._input} is ({shown}), by the card {expected}: "
                "axes, stft, chunk and channels must fit the network"
            )
        return batch, isinstance(known, int)

    def _weights(self) -> torch.Tensor:
        """Return the window of a chunk."""
        card = self._card
        inside = card.size - 2 * card.trim
        window = torch.ones(inside)
        if card.window == "hann":
            window = torch.hann_window(inside + 2, periodic=False)[1:-1]
        return torch.nn.functional.pad(window, (card.trim, card.trim))


def _session(path: Path, device: torch.device, note: Callable[[str], None]) -> Any:
    """Open a model; raise `SepbenchError` for other files."""
    import onnxruntime

    if not path.is_file():
        raise SepbenchError(f"{path}: no such model; 'model' is a path relative to the card")
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.type == "cuda":
        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            providers = [("CUDAExecutionProvider", {"device_id": device.index or 0}), *providers]
        else:
            note("runs on the CPU: this onnxruntime has no CUDA; 'pip install onnxruntime-gpu'")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime's own classes have no common one.
        reason = _PREFIX.sub("", " ".join(str(error).split())).rstrip(".")
        raise SepbenchError(
            f"{path}: not a model that onnxruntime can run: {reason}; "
            "get the file again, or a newer onnxruntime"
        ) from None
