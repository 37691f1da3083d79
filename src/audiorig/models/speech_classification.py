"""A wav2vec2 with a head for whole clips, by the names that notebooks of music and emotion classification know.

The weights are called as theirs are (``wav2vec2.*``, ``classifier.dense``, ``classifier.out_proj``),
so that checkpoints of either load here. What differs: a clip has the same logits alone as in any
padded batch, because the convolutions of the base models, which normalise over all that they are
given, never see padding, and no pooling does; and nothing is hidden of a clip while training
(SpecAugment draws from NumPy's global state and raises on clips under 0.2 s).
"""

import copy
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2PreTrainedModel
from transformers.utils import ModelOutput

from audiorig.config import PoolingConfig
from audiorig.errors import ConfigError
from audiorig.models.encoders.convolutional import ConvolutionalEncoder
from audiorig.models.heads import Head
from audiorig.models.pooling import Pooling
from audiorig.models.tuner import SpeechTuner
from audiorig.randomness import random_state_fence

POOLING_MODES = ("mean", "sum", "max")
ProblemType = Literal["regression", "single_label_classification", "multi_label_classification"]


@dataclass
class SpeechClassifierOutput(ModelOutput):
    """What the model says of a batch.

    Attributes:
        loss: scalar, where there were labels.
        logits: float32 (B, C).
        hidden_states: if asked for: what enters the first block, then the output of each, (B, N, D).
        attentions: if asked for: of each block, (B, heads, N, N).
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


class Wav2Vec2ClassificationHead(nn.Module):
    """From the vector of a clip to its classes: one hidden layer as wide as the vector, with tanh.

    Args:
        config: ``hidden_size`` D, ``final_dropout``, ``num_labels`` C.
    """

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__()
        num_labels = config.num_labels or 0
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(config.final_dropout)
        self.out_proj = nn.Linear(config.hidden_size, num_labels)

    def forward(self, features: Tensor) -> Tensor:
        """Vectors (B, D) to logits (B, C)."""
        hidden = torch.tanh(self.dense(self.dropout(features)))
        logits: Tensor = self.out_proj(self.dropout(hidden))
        return logits


class Wav2Vec2ForSpeechClassification(Wav2Vec2PreTrainedModel):
    """wav2vec2, a pooling over a clip's own frames, a head.

    Args:
        config: of the checkpoint, with ``num_labels`` and ``pooling_mode`` (mean if it is not set).

    Raises:
        ConfigError: if ``pooling_mode`` is none of mean, sum and max.
    """

    # The stock Trainer would take a forward with **kwargs for one that divides by num_items_in_batch itself, and
    # would leave the gradient too large by the accumulation.
    accepts_loss_kwargs = False
    # What only pre-training has.
    _keys_to_ignore_on_load_unexpected: list[str] = [r"quantizer\.", r"project_(hid|q)\."]  # noqa: RUF012

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.pooling_mode = getattr(config, "pooling_mode", "mean")
        if self.pooling_mode not in POOLING_MODES:
            raise ConfigError(f"pooling_mode is {self.pooling_mode!r}: expected {', '.join(POOLING_MODES)}")
        self.wav2vec2 = Wav2Vec2Model(config)
        self.pooling = Pooling(PoolingConfig(kind=self.pooling_mode), config.hidden_size, config.num_hidden_layers + 1)
        self.classifier = Wav2Vec2ClassificationHead(config)
        self.post_init()

    def freeze_feature_encoder(self) -> None:
        """Keep the convolutions as they are."""
        self.wav2vec2.freeze_feature_encoder()

    def forward(
        self,
        input_values: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> SpeechClassifierOutput | tuple[Any, ...]:
        """Logits of a batch, and the loss where labels are given.

        Args:
            input_values: float32 (B, T), as the checkpoint's feature extractor makes them of each clip.
            attention_mask: (B, T), 1 where a clip is, 0 behind its end; without it all of T is clip.
            labels: int64 (B,) classes, float (B, C) of several labels at once, or float (B,) or
                (B, C) for regression; ``config.problem_type`` says which, or is told by them.

        Raises:
            DataError: if a clip is shorter than a frame.
        """
        length = input_values.shape[1]
        lengths = (
            torch.full((len(input_values),), length, device=input_values.device)
            if attention_mask is None
            else attention_mask.sum(dim=1)
        )
        wants_attentions = _given(output_attentions, self.config.output_attentions)
        with _Attentions(self.wav2vec2, wants_attentions) as attentions:
            # The extractor has normalised already.
            output = ConvolutionalEncoder(self.wav2vec2, 16000, do_normalize=False).encode(input_values, lengths)
        # Pooled in full precision, whatever the weights are of.
        logits = self.classifier(self.pooling(output).vectors.to(self.classifier.out_proj.weight.dtype))
        result = SpeechClassifierOutput(
            loss=None if labels is None else self._loss(logits, labels),
            logits=logits,
            hidden_states=output.layers if _given(output_hidden_states, self.config.output_hidden_states) else None,
            attentions=tuple(attentions.found) if wants_attentions else None,
        )
        return result if _given(return_dict, True) else result.to_tuple()

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """As transformers' own classifiers choose it."""
        kind = self.config.problem_type or self._problem_type(labels)
        if kind == "regression":
            return functional.mse_loss(logits, labels.to(logits.dtype).view_as(logits))
        if kind == "single_label_classification":
            return functional.cross_entropy(logits, labels.view(-1))
        return functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype).view_as(logits))

    def _problem_type(self, labels: Tensor) -> ProblemType:
        if self.num_labels == 1:
            return "regression"
        return "multi_label_classification" if labels.is_floating_point() else "single_label_classification"


def _given(value: bool | None, default: bool | None) -> bool:
    return bool(default if value is None else value)


class _Attentions:
    """Collects what each block attends to while it is entered.

    Raises:
        ConfigError: behind it, if the model computes attention by a kernel that has no such thing.
    """

    def __init__(self, body: Wav2Vec2Model, is_wanted: bool) -> None:
        self._blocks = body.encoder.layers if is_wanted else []
        self.found: list[Tensor] = []

    def __enter__(self) -> "_Attentions":
        self._handles = [
            block.attention.register_forward_hook(lambda _, inputs, output: self.found.append(output[1]))
            for block in self._blocks
        ]
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()
        if any(each is None for each in self.found):
            raise ConfigError('output_attentions needs from_pretrained(..., attn_implementation="eager")')


# ------------------------------------------------------------------ from a tuned model


def speech_classification_of(model: SpeechTuner) -> Wav2Vec2ForSpeechClassification:
    """A tuned model under the names of this module: in evaluation mode, adapters folded in, equal logits.

    It takes what ``feature_extractor_of`` makes of a clip.

    Raises:
        ConfigError: if it has anything that these classes have no place for.
    """
    _check_shape(model)
    target, head = model.targets[0], _head(model)
    encoder = model.merged().encoder
    config = copy.deepcopy(encoder.config)
    config.id2label = dict(enumerate(target.classes))  # and with it the number of labels
    config.label2id = {name: index for index, name in enumerate(target.classes)}
    config.pooling_mode, config.final_dropout = model.pooling.kind, head.dropout.p
    config.problem_type = "single_label_classification"
    with random_state_fence():
        other = Wav2Vec2ForSpeechClassification(config)
    other.wav2vec2.load_state_dict(encoder.body.state_dict())
    other.classifier.load_state_dict(head.state_dict())
    return other.eval()


def feature_extractor_of(model: SpeechTuner) -> Wav2Vec2FeatureExtractor:
    """What makes ``input_values`` and ``attention_mask`` of clips, as the tuned model's encoder hears them."""
    encoder = model.encoder
    return Wav2Vec2FeatureExtractor(
        sampling_rate=encoder.sample_rate_hz, do_normalize=encoder.do_normalize, return_attention_mask=True
    )


def _head(model: SpeechTuner) -> Head:
    head = model.heads.heads[0]
    assert isinstance(head, Head)
    return head


def _check_shape(model: SpeechTuner) -> None:
    head, width = _head(model), model.encoder.width
    kinds = [target.kind for target in model.targets]
    what = {
        f"its encoder is a {model.encoder.family}, not a wav2vec2": model.encoder.family != "wav2vec2",
        "it has soft prompts": model.prompts is not None,
        f"it pools by {model.pooling.kind}, not by {', '.join(POOLING_MODES)}": model.pooling.kind not in POOLING_MODES,
        "it pools several layers": model.pooling.layer_scores is not None,
        "its vectors are standardised": model.heads.center is not None,
        f"its head is linear or narrow, not an mlp of width {width}": head.dense is None
        or head.dense.out_features != width,
        f"it has {len(kinds)} targets ({', '.join(kinds)}), not one class": kinds != ["class"],
    }
    if found := [sentence for sentence, is_so in what.items() if is_so]:
        raise ConfigError(
            f"this model is no Wav2Vec2ForSpeechClassification: {found[0]}; its folder is loaded by SpeechTuner, "
            "its bundle by load_bundle"
        )
