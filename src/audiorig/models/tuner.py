"""An encoder with a head on top, that learns what is said of clips.

Waveforms go through the encoder, with learnt frames before their own if there are prompts; a
pooling makes one vector of each clip, heads say its targets, and the terms of the loss are added
up. The folder that ``save_pretrained`` writes holds all of it: nothing else is needed to load it.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from audiorig.config import HeadConfig, LoraConfig, LossConfig, PoolingConfig, TuningConfig, TuningRun
from audiorig.data.targets import Target
from audiorig.errors import DataError
from audiorig.models.cutpoints import Cutpoints
from audiorig.models.dev_parts import Parts, derived, dev_parts
from audiorig.models.encoders.base import SpeechEncoder
from audiorig.models.encoders.build import build_encoder
from audiorig.models.heads import Heads
from audiorig.models.modes import evaluating, learns, train_what_learns
from audiorig.models.objectives import Said, build_terms
from audiorig.models.outputs import EncoderOutput
from audiorig.models.pooling import Pooling
from audiorig.models.tuner_config import TunerConfig, TunerOutput
from audiorig.models.tuning.apply import apply_tuning, rate_scales
from audiorig.models.tuning.lora import merge
from audiorig.models.tuning.prompts import SoftPrompts

__all__ = ["SpeechTuner", "TunerConfig", "TunerOutput"]

ENCODER = "encoder."


class SpeechTuner(PreTrainedModel):
    """``forward`` trains it; ``predict`` answers.

    Args:
        config: its shape.
        encoder: the one to tune, changed in place: adapters come into it, and what learns is marked.
            One of random weights, to be filled from a folder, if not given.

    Attributes:
        encoder, prompts, pooling, heads: its parts; ``prompts`` is None if there are none.
        cutpoints: of the ratings that have them, in the order of the targets.
        targets: what is predicted.
        terms: of the loss.
    """

    config_class = TunerConfig
    main_input_name = "waveform"
    accepts_loss_kwargs = True  # sums, divided by the counts of the whole step: see train/relations.py
    no_decay_names: ClassVar[tuple[str, ...]] = ("values", "original0")  # prompts; norms of position kernels
    config: TunerConfig

    def __init__(self, config: TunerConfig, encoder: SpeechEncoder | None = None) -> None:
        super().__init__(config)
        tuning = TuningConfig.model_validate(config.tuning)
        self.targets = tuple(Target.from_dict(target) for target in config.targets)
        self.terms = build_terms([LossConfig.model_validate(loss) for loss in config.losses], self.targets)
        self.encoder = build_encoder(config.encoder) if encoder is None else encoder
        self.prompts = self._new_prompts(tuning, is_new=encoder is not None)
        apply_tuning(self.encoder, tuning, config.seed)
        pooling = PoolingConfig.model_validate(config.pooling)
        self.pooling = Pooling(pooling, self.encoder.width, self.encoder.num_blocks + 1)
        outputs = {target.name: target.num_outputs for target in self.targets}
        head = HeadConfig.model_validate(config.head)
        self.heads = Heads(head, self.pooling.out_width, outputs, config.seed)
        with_cutpoints = [target for target in self.targets if target.kind == "rating" and target.has_cutpoints]
        # In a list: the name of a target may hold a dot, which that of a module may not.
        self.cutpoints = nn.ModuleList(Cutpoints(len(target.steps)) for target in with_cutpoints)
        self._cutpoint_place = {target.name: place for place, target in enumerate(with_cutpoints)}
        # What transformers would lose in loading: it has all parameters learn, and leaves constants undefined.
        self._learning = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        self._constants = {name: value.clone() for name, value in self.named_non_persistent_buffers()}
        self.rate_scales = rate_scales(self.encoder, tuning, ENCODER)
        self.post_init()

    def _new_prompts(self, tuning: TuningConfig, is_new: bool) -> SoftPrompts | None:
        if not tuning.num_prompts:
            return None
        prompts = SoftPrompts(tuning.num_prompts, self.encoder.width, self.config.seed)
        if is_new and self.encoder.takes_prompts:
            prompts.scale_to(self.encoder)
        return prompts

    @classmethod
    def assemble(cls, encoder: SpeechEncoder, run: TuningRun, targets: Sequence[Target]) -> Self:
        """A tuner to be trained: the encoder's weights stay, and all else follows from the run's seed.

        Args:
            encoder: changed in place.
            run: the settings.
            targets: as ``resolve_targets`` gives them, in the order of the batches' values.
        """
        return cls(cls.config_class.of_run(encoder.description(), run, targets), encoder)

    # ------------------------------------------------------- what the trainer asks

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the waveforms that it takes."""
        return self.encoder.sample_rate_hz

    @property
    def part_weights(self) -> dict[str, float]:
        """Weight of each term in the loss."""
        return {term.name: term.settings.weight for term in self.terms}

    @property
    def compares_clips(self) -> bool:
        """Whether a term of the loss is about pairs of clips."""
        return any(term.compares_clips for term in self.terms)

    def score_table(self, scores: Mapping[str, Tensor]) -> Tensor:
        """Scores float32 (B, K) of the targets that have one; of a class 0."""
        columns = [scores[target.name] for target in self.targets]
        return torch.cat([each if each.shape[1] == 1 else torch.zeros_like(each[:, :1]) for each in columns], dim=1)

    def means_of_all(self, rows: Tensor) -> dict[str, float]:
        """Terms that compare clips, over all pairs of a side; those of a batch depend on how it is batched.

        Args:
            rows: float32 (n, 2 K), as evaluation gives them, of all its batches.

        Returns:
            By name, as the parts are; without those that have no pair.
        """
        scores, values = rows.double().chunk(2, dim=1)
        means = {term.name: term.mean_of_pairs(scores, values) for term in self.terms if term.compares_clips}
        return {name: mean for name, mean in means.items() if mean is not None}

    def derived(self, parts: dict[str, float]) -> dict[str, float]:
        """Further numbers of dev, from the means of its parts."""
        return derived(self.targets, parts)

    def initialize_weights(self) -> None:
        """Nothing: every part has its weights already, and transformers would draw them anew."""

    def train(self, mode: bool = True) -> Self:
        """Training mode for what learns: a part of the encoder that stays as it is has no dropout."""
        super().train(mode)
        if mode:
            train_what_learns(self.encoder)
        return self

    # --------------------------------------------------------------- forward

    def forward(
        self,
        waveform: Tensor,
        lengths: Tensor,
        values: Tensor | None = None,
        labels: Tensor | None = None,
        num_observed: Tensor | None = None,
        others: dict[str, Tensor] | None = None,
        num_items_in_batch: Tensor | int | None = None,
    ) -> TunerOutput:
        """Answers to a padded batch, and its loss if there are values.

        Args:
            waveform: float32 (B, T), in [-1, 1].
            lengths: int64 (B,), samples of each clip.
            values: float32 (B, K), NaN where missing, as ``Target.encode`` gives them.
            labels: not read; the trainer counts them.
            num_observed: float32, what each term's sum is divided by: the counts of the whole step, as
                ``train.relations`` puts them into the batch; those of this batch if not given.
            others: what the losses of pairs must know of the step's other micro-batches, likewise.
            num_items_in_batch: not read; but where the trainer tells it, ``num_observed`` must be there.
        """
        assert num_items_in_batch is None or num_observed is not None, "relate was not called for this step"
        output = self.encode(waveform, lengths)
        with torch.autocast(waveform.device.type, enabled=False):
            pooled = self.pooling(output)
            scores = self.heads(pooled.vectors)
            logits = {name: self._logits(name, each) for name, each in scores.items()}
            loss, parts, rows = None, None, None
            if values is not None:
                said = {name: Said(scores[name], logits[name]) for name in scores}
                loss, parts = self._loss(said, values, num_observed, others)
                if not self.training and self.compares_clips:
                    rows = torch.cat([self.score_table(scores), values], dim=1).detach()
        return TunerOutput(
            loss=loss,
            parts=parts,
            rows=rows,
            logits=logits,
            scores=scores,
            vectors=pooled.vectors,
            attention=pooled.weights,
            is_padding=output.is_padding,
        )

    def encode(self, waveform: Tensor, lengths: Tensor) -> EncoderOutput:
        """The encoder's output, without a graph where nothing learns.

        Below the lowest part that learns autograd keeps none of itself.
        """
        prompts = None if self.prompts is None else self.prompts()
        has_graph = torch.is_grad_enabled() and (prompts is not None or learns(self.encoder))
        with torch.set_grad_enabled(has_graph):
            return self.encoder.encode(waveform, lengths, prompts)

    def _logits(self, name: str, scores: Tensor) -> Tensor:
        place = self._cutpoint_place.get(name)
        return scores if place is None else self.cutpoints[place](scores)

    def _loss(
        self,
        said: Mapping[str, Said],
        values: Tensor,
        num_observed: Tensor | None,
        others: dict[str, Tensor] | None,
    ) -> tuple[Tensor, Parts]:
        shares = {term: term.share(said, values, others) for term in self.terms}
        counts = torch.stack([share.divisor for share in shares.values()]) if num_observed is None else num_observed
        parts: Parts = {term.name: (share.total.detach(), share.divisor) for term, share in shares.items()}
        # A term of which nothing was observed is 0, and its outputs still take part in the loss.
        means = [share.total / counts[place].where(counts[place] > 0, 1) for place, share in enumerate(shares.values())]
        loss = torch.stack([term.settings.weight * mean for term, mean in zip(shares, means, strict=True)]).sum()
        if not self.training:
            for place, target in enumerate(self.targets):
                parts |= dev_parts(target, said[target.name], values[:, place])
        return loss, parts

    @torch.no_grad()
    def predict(self, waveform: Tensor, lengths: Tensor) -> TunerOutput:
        """Answers in evaluation mode, whatever mode it is in; ``answers.answers_of`` reads the logits."""
        with evaluating(self):
            output: TunerOutput = self(waveform, lengths)
        return output

    # ------------------------------------------------------------ save and load

    def merged(self) -> "SpeechTuner":
        """The same model with its adapters folded into the weights, a copy; without any, just a copy."""
        config = copy.deepcopy(self.config)
        config.tuning = config.tuning | {"lora": LoraConfig().model_dump(mode="json")}
        plain = type(self)(config, merge(copy.deepcopy(self.encoder)))
        rest = {name: value for name, value in self.state_dict().items() if not name.startswith(ENCODER)}
        plain.load_state_dict(rest, strict=False)
        return plain.train(self.training)

    @classmethod
    def from_pretrained(cls, folder: Any, *other: Any, output_loading_info: bool = False, **named: Any) -> Any:  # type: ignore[override]
        """A saved tuner, in evaluation mode.

        Raises:
            DataError: if its weights are not those that its config.json asks for; otherwise what is
                missing would be random.
        """
        loaded: Any = super().from_pretrained(folder, *other, output_loading_info=True, **named)
        model, info = loaded
        for what, found in (("lacks", info["missing_keys"]), ("has, and cannot use,", info["unexpected_keys"])):
            if found:
                first = sorted(found)[0]
                raise DataError(f"{folder}: the file of weights {what} {len(found)} tensors, {first!r} among them")
        for name, value in model._constants.items():
            model.get_buffer(name).copy_(value)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in model._learning)
        return (model, info) if output_loading_info else model
