"""The quantizer of wav2vec 2.0, its noise keyed by item, its choice computed for hidden frames only.

Transformers' own draws its noise from the global state (the same step on two ranks is then another
step: gradients agreed to a cosine of 0.95 only), and looks codes up by an array of frames x all
codes x width: 2 GB for eight crops of 8 s in the base model. The choice is a matrix product here.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2GumbelVectorQuantizer


class Quantized(NamedTuple):
    """What the quantizer makes of M frames.

    Attributes:
        vectors: float32 (M, width of a code times G).
        codes: int64 (M,), one number for the codes of all G groups together.
        probabilities: float32 (M, G, V), of each code: without noise and temperature in training,
            1 for the chosen one in evaluation.
    """

    vectors: Tensor
    codes: Tensor
    probabilities: Tensor


class KeyedQuantizer(Wav2Vec2GumbelVectorQuantizer):
    """Chooses one of V codes in each of G groups (equation 1), straight through in training.

    Parameters and names are those of the published format.
    """

    temperature: float

    def forward(self, features: Tensor, noise: Tensor | None = None) -> Quantized:
        """Codes of frames.

        Args:
            features: (M, C), normed features of the frames.
            noise: float32 (M, G, V) of ``gumbel_noise``, in training; without it the best code is
                taken, which has no gradient.
        """
        scores = self.weight_proj(features).float().view(len(features), self.num_groups, self.num_vars)
        if noise is None:
            codes = scores.argmax(-1)
            chosen = probabilities = functional.one_hot(codes, self.num_vars).to(scores.dtype)
        else:
            probabilities = scores.softmax(-1)
            soft = ((scores + noise) / self.temperature).softmax(-1)
            codes = soft.argmax(-1)
            # The code itself on the way forward, the soft choice on the way back.
            chosen = functional.one_hot(codes, self.num_vars) - soft.detach() + soft
        codebook = self.codevectors.float().view(self.num_groups, self.num_vars, -1)
        with torch.autocast(features.device.type, enabled=False):  # bfloat16 would round the codebook
            vectors = torch.einsum("mgv,gvd->mgd", chosen, codebook).flatten(1)
        places = self.num_vars ** torch.arange(self.num_groups, device=features.device)
        return Quantized(vectors, (codes * places).sum(-1), probabilities)


def gumbel_noise(keys: Tensor, counts: Tensor, num_groups: int, num_codes: int) -> Tensor:
    """Gumbel noise of items whose frames lie one after the other.

    It depends on an item's key and on nothing beside: not on the batch, the rank, or how often
    anything was drawn before. A GPU has other generators than a CPU: equal on one kind of device.

    Args:
        keys: int64 (B,), not negative.
        counts: int64 (B,), frames of each item; M in all.
        num_groups: G.
        num_codes: V.

    Returns:
        float32 (M, G, V) on the device of ``keys``.
    """
    ends = counts.cumsum(0).tolist()
    noise = torch.empty(ends[-1], num_groups, num_codes, device=keys.device)
    for key, start, end in zip(keys.tolist(), [0, *ends[:-1]], ends, strict=True):
        generator = torch.Generator(keys.device).manual_seed(key)
        noise[start:end].exponential_(generator=generator)
    return noise.log_().neg_()


def perplexity(probabilities: Tensor, weights: Tensor) -> Tensor:
    """How many codes are in use: the exponential of the entropy of their mean, summed over groups.

    Args:
        probabilities: (M, G, V).
        weights: (M,), of each frame.

    Returns:
        A scalar, at least G (one code each), at most G * V.
    """
    mean = (probabilities * weights[:, None, None]).sum(0) / weights.sum().clamp_min(1)
    # The logarithm's gradient at 0 is no number; a code that nobody ever chooses comes down to it.
    entropy = -(mean * mean.clamp_min(torch.finfo(mean.dtype).tiny).log()).sum(-1)
    return entropy.exp().sum()
