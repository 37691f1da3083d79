"""Pre-training of wav2vec 2.0 that goes on from a published checkpoint.

The modules, their names and their weights are transformers'; the loss is computed here, because
theirs is a sum over one micro-batch, lacks what the published training had (the penalty on the
feature encoder's output, the scale of its gradient; fairseq's wav2vec2 criterion), and compares
each frame with its negatives by an array of K x B x N x D. A negative is a frame of the same item,
so one product of an item's frames with each other, (B, N, N), holds all of them.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional
from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining
from transformers.utils import ModelOutput

from audiorig.config import Wav2Vec2TrainingConfig
from audiorig.files import read_json, write_json
from audiorig.models.wav2vec2.quantizer import KeyedQuantizer, Quantized, gumbel_noise, perplexity

IGNORED = -100  # the label of a frame that is no part of the loss, as the trainer counts them


@dataclass
class PretrainingOutput(ModelOutput):
    """Loss of a batch.

    Attributes:
        loss: scalar.
        parts: name -> (sum, count), detached; a part is sum / count. Contrastive, diversity and
            feature_penalty are per counted frame, without their weights; accuracy is that of the
            contrastive choice; perplexity is summed over the codebooks' groups; share_hidden is of
            all frames that are not padding.
    """

    loss: Tensor | None = None
    parts: dict[str, tuple[Tensor, Tensor]] | None = None


class Wav2Vec2Pretrainer(Wav2Vec2ForPreTraining):
    """``forward`` trains it; ``save_pretrained`` writes a folder for ``Wav2Vec2ForPreTraining``.

    Args:
        config: of the checkpoint, as ``checkpoint.training_config`` changes it.
        settings: weights of the loss.

    Attributes:
        preprocessor: what the base checkpoint says of its input (preprocessor_config.json); it goes
            with the weights wherever they are saved.
        is_quantizer_new: whether the quantizer was begun anew, the checkpoint having none.
        published: settings of config.json that are others while training; saved as they were.
    """

    accepts_loss_kwargs = True  # the loss is a sum over frames, divided by the count of all micro-batches and ranks
    no_decay_names: ClassVar[tuple[str, ...]] = ("original0",)  # the norms of the position convolution's kernels
    config: Wav2Vec2Config
    quantizer: KeyedQuantizer

    def __init__(self, config: Wav2Vec2Config, settings: Wav2Vec2TrainingConfig | None = None) -> None:
        super().__init__(config)
        self.settings = settings or Wav2Vec2TrainingConfig()
        self.preprocessor: dict[str, Any] = {}
        self.published: dict[str, Any] = {}
        self.is_quantizer_new = False
        self.quantizer.__class__ = KeyedQuantizer  # the same parameters, drawn already

    @property
    def part_weights(self) -> dict[str, float]:
        """Weight of each part that the loss has."""
        return {
            "contrastive": 1.0,
            "diversity": self.settings.diversity_weight,
            "feature_penalty": self.settings.feature_penalty,
        }

    # -------------------------------------------------------------- forward

    def features(self, input_values: Tensor) -> Tensor:
        """Output (B, N, C) of the feature encoder; its gradient is scaled, or there is none at all."""
        scale = self.settings.feature_grad_scale
        # Layer by layer: the encoder's own forward asks for a gradient of the waveform, which nobody needs.
        hidden = input_values[:, None]
        with torch.set_grad_enabled(scale > 0 and torch.is_grad_enabled()):
            for layer in self.wav2vec2.feature_extractor.conv_layers:
                hidden = layer(hidden)
        if scale < 1 and hidden.requires_grad:
            hidden.register_hook(lambda gradient: gradient * scale)
        return hidden.transpose(1, 2)

    def forward(
        self,
        input_values: Tensor,
        is_hidden: Tensor,
        negatives: Tensor,
        labels: Tensor,
        keys: Tensor,
        is_padding: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
    ) -> PretrainingOutput:
        """Hide, encode, quantize, compare: the loss of a batch.

        Args:
            input_values: float32 (B, T), zeros behind an item's end.
            is_hidden: bool (B, N), False in padding.
            negatives: int64 (B, N, K), frames of the same item; read where ``is_hidden``.
            labels: int64 (B, N), not -100 where a hidden frame counts.
            keys: int64 (B,), of the quantizer's noise; read in training.
            is_padding: bool (B, N), where an item has ended; nothing is padding if not given.
            num_items_in_batch: counted frames of all micro-batches and ranks of the step; those of
                this batch if not given.
        """
        features = self.features(input_values)
        hidden, normed = self.wav2vec2.feature_projection(features)
        tokens = torch.where(is_hidden[..., None], self.wav2vec2.masked_spec_embed.to(hidden.dtype), hidden)
        is_real = None if is_padding is None else ~is_padding
        context = self.project_hid(self.wav2vec2.encoder(tokens, attention_mask=is_real).last_hidden_state)
        rows = is_hidden.flatten().nonzero().squeeze(1)  # the M hidden frames, item by item
        noise = self._noise(keys, is_hidden) if self.training else None
        quantized = self.quantizer(self.dropout_features(normed.flatten(0, 1)[rows]), noise)
        targets = self.project_q(quantized.vectors.to(self.project_q.weight.dtype))
        with torch.autocast(input_values.device.type, enabled=False):
            weights = (labels.flatten()[rows] != IGNORED).float()
            contrastive, is_right = self._contrastive(context, targets, quantized.codes, rows, negatives)
            per_item = ((labels != IGNORED) & is_hidden).sum(1)
            penalty = (_mean_square(features, is_real) * per_item).sum()
            return self._output(
                contrastive @ weights,
                is_right @ weights,
                penalty,
                quantized,
                weights,
                (is_hidden.sum(), is_hidden.numel() if is_real is None else is_real.sum()),
                num_items_in_batch,
            )

    def _noise(self, keys: Tensor, is_hidden: Tensor) -> Tensor:
        return gumbel_noise(keys, is_hidden.sum(1), self.quantizer.num_groups, self.quantizer.num_vars)

    def _contrastive(
        self, context: Tensor, targets: Tensor, codes: Tensor, rows: Tensor, negatives: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The loss of each hidden frame (equation 3), and 1 where its own target is the nearest, (M,) each.

        A negative of the same codes as the target is left out, as in the published training.

        Args:
            context: (B, N, D), what the network says.
            targets: (M, D), quantized hidden frames.
            codes: int64 (M,).
            rows: int64 (M,), their places in (B * N).
            negatives: int64 (B, N, K).
        """
        num_items, num_frames, width = context.shape
        places = torch.zeros(num_items * num_frames, dtype=torch.long, device=rows.device)
        places[rows] = torch.arange(len(rows), device=rows.device)  # of a frame, among the hidden ones
        keys = functional.normalize(targets.float(), dim=-1)
        keys = keys.new_zeros(num_items * num_frames, width).index_copy(0, rows, keys)
        likeness = functional.normalize(context.float(), dim=-1) @ keys.view(num_items, num_frames, width).mT
        likeness = likeness.flatten(0, 1)[rows] / self.config.contrastive_logits_temperature  # (M, N)
        others = negatives.flatten(0, 1)[rows]  # (M, K)
        frame, first = rows % num_frames, rows - rows % num_frames
        is_same = codes[places[others + first[:, None]]] == codes[:, None]
        right = likeness.gather(1, frame[:, None])
        wrong = likeness.gather(1, others).masked_fill(is_same, -torch.inf)
        loss = torch.cat([right, wrong], 1).logsumexp(1) - right[:, 0]
        return loss, (right[:, 0] > wrong.amax(1)).float()

    def _output(
        self,
        contrastive: Tensor,
        num_right: Tensor,
        penalty: Tensor,
        quantized: Quantized,
        weights: Tensor,
        hidden: tuple[Tensor, Tensor | int],
        num_items_in_batch: Tensor | int | None,
    ) -> PretrainingOutput:
        """Weigh and divide what is summed over the counted frames."""
        count = weights.sum()
        codes_used = perplexity(quantized.probabilities, weights)
        num_codes = self.quantizer.num_groups * self.quantizer.num_vars
        diversity = (num_codes - codes_used) / num_codes * count
        sums = {"contrastive": contrastive, "diversity": diversity, "feature_penalty": penalty}
        total = torch.stack([weight * sums[name] for name, weight in self.part_weights.items()]).sum()
        divisor = count if num_items_in_batch is None else torch.as_tensor(num_items_in_batch, device=count.device)
        sums |= {"accuracy": num_right, "perplexity": codes_used * count}
        parts = {name: (value.detach(), count) for name, value in sums.items()}
        parts["share_hidden"] = (hidden[0].float(), torch.as_tensor(hidden[1], device=count.device).float())
        return PretrainingOutput(loss=total / divisor.clamp_min(1), parts=parts)

    # ----------------------------------------------------------------- save

    def save_pretrained(self, save_directory: str | os.PathLike[str], *other: Any, **named: Any) -> None:
        """Write the folder as the base was published: its class, its input, its settings of fine-tuning."""
        super().save_pretrained(save_directory, *other, **named)
        architecture = Wav2Vec2ForPreTraining.__name__
        self.config.architectures = [architecture]
        folder = Path(save_directory)
        if (config := folder / "config.json").is_file():  # only one rank writes
            write_json(config, {**read_json(config), **self.published, "architectures": [architecture]})
            if self.preprocessor:
                write_json(folder / "preprocessor_config.json", self.preprocessor)


def _mean_square(features: Tensor, is_real: Tensor | None) -> Tensor:
    """Mean square (B,) of features (B, N, C) over an item's frames."""
    squares = features.float().square().mean(-1)
    if is_real is None:
        return squares.mean(1)
    return (squares * is_real).sum(1) / is_real.sum(1).clamp_min(1)
