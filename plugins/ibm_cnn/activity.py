"""Training of detectors of singing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from sepbench.activity.model import ActivityModel
from sepbench.activity.reference import reference_activity
from sepbench.activity.scores import activity_scores
from sepbench.training.model import Batch, Trainable


class ActivityTrainable(Trainable):
    """A detector of singing, built from the section ``model`` of its config; see `ActivityModel`.

    ``labels`` is ``frames`` for labels by the energy rule, or ``excerpts``, as published, for one
    label per example: whether it has a voice.
    """

    method = "ibm-cnn"
    loss_label = "binary cross-entropy"
    score_unit = ""

    def __init__(self, model: Mapping[str, Any]) -> None:
        super().__init__(model)
        rest = dict(model)
        self.labels = str(rest.pop("labels", "frames"))
        if self.labels not in ("frames", "excerpts"):
            raise ValueError(f"labels={self.labels}: choose frames or excerpts")
        self.detector = ActivityModel(rest)
        self.rate, self.context = self.detector.rate, self.detector.context

    def network(self) -> nn.Module:
        """Build the network."""
        return self.detector.network()

    def features(self, mixture: torch.Tensor) -> torch.Tensor:
        """Return the network's input for mixtures ``(batch, samples)``."""
        return self.detector.features(mixture)

    def targets(self, stems: Batch) -> Batch:
        """Return the target of each row of the output, ``(batch, rows, columns)``."""
        detector = self.detector
        columns = detector.stft.frames(stems["vocals"].shape[-1])
        if self.labels == "excerpts":
            active = stems["vocals"].abs().amax(-1, keepdim=True) > 0
            rows = active.float().expand(-1, columns)[:, None]
        else:
            rows = self._active(stems["vocals"], columns)[:, None]
        if detector.predicts == "no-voice":
            rows = 1 - rows
        shares = detector.shares(stems["vocals"], stems["accompaniment"])
        if shares is not None:
            rows = torch.cat([rows, shares], 1)
        return {"rows": rows[..., detector.margin : columns - detector.margin]}

    def losses(self, output: torch.Tensor, targets: Batch) -> Batch:
        """Return the cross-entropy of singing, and that of shares where they are learned."""
        wanted = targets["rows"][..., : output.shape[-1]]
        parts = {"singing": slice(0, 1), "shares": slice(1, None)}
        return {
            name: functional.binary_cross_entropy_with_logits(output[:, rows], wanted[:, rows])
            for name, rows in parts.items()
            if output.shape[1] > 1
        }

    def outputs(self, output: torch.Tensor) -> Batch:
        """Return the log-odds of singing."""
        return {"network": output[:, 0]}

    def loss(self, output: torch.Tensor, targets: Batch) -> torch.Tensor:
        """Return the cross-entropy of singing, and that of the voice's share of each band."""
        wanted = targets["rows"][..., : output.shape[-1]]
        parts = self.losses(output, targets)
        if parts:
            return parts["singing"] + parts["shares"]
        return functional.binary_cross_entropy_with_logits(output, wanted)

    def estimates(self, network: nn.Module, mixture: torch.Tensor) -> Batch:
        """Return no stems."""
        return {}

    def scores(self, network: nn.Module, stems: Batch) -> Mapping[str, float]:
        """Return the accuracy of frames in a passage, and F1 if someone sings."""
        probabilities = self.detector.probabilities(network, self.mixture(stems)[None])[0]
        reference = reference_activity(stems["vocals"][None], self.rate)
        active, sung = (probabilities > 0.5).cpu().numpy(), reference.cpu().numpy()
        scores = {"accuracy": float((active == sung).mean())}
        if sung.any():
            scores["F1"] = activity_scores(sung, active, probabilities.cpu().numpy()).f1
        return scores

    def _active(self, vocals: torch.Tensor, columns: int) -> torch.Tensor:
        """Return the reference at the columns of the spectrogram."""
        active = reference_activity(vocals[:, None], self.rate).float()
        times = torch.arange(columns, device=vocals.device) * self.detector.stft.hop
        return active[:, (times * 100 // self.rate).clamp(max=active.shape[-1] - 1)]
