"""WavLM's attention, so that adapters on its projections learn.

transformers hands the projections' weights to one function instead of calling the modules: a
low-rank update around such a module is never run. It moved the output by 5e-7, and by 4.7 once it
was merged; all of it was counted as trainable. Here the modules are called.
"""

import torch
from torch import Tensor
from torch.nn import functional
from transformers.models.wavlm.modeling_wavlm import WavLMAttention


class GatedAttention(WavLMAttention):
    """The same weights and the same outputs (Chen et al., "WavLM", 2022, equations 4 to 7).

    Attentions of a network become it by ``take_over``.
    """

    @classmethod
    def take_over(cls, attention: WavLMAttention) -> None:
        """Change the class of a module; it keeps its weights."""
        attention.__class__ = cls

    def forward(  # type: ignore[override]
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_bias: Tensor | None = None,
        **_: object,
    ) -> tuple[Tensor, None, Tensor]:
        """Attention of one layer.

        Args:
            hidden_states: (B, N, D).
            attention_mask: broadcast to (B, 1, N, N): 0 where a key is seen, else minus infinity.
            position_bias: (H, N, N) for H heads, of the first layer; computed if not given.

        Returns:
            (B, N, D), no weights, and the bias for the next layer.
        """
        if position_bias is None:
            position_bias = self.relative_bias(hidden_states.shape[1])
        heads = hidden_states.unflatten(2, (self.num_heads, self.head_dim)).transpose(1, 2)
        query, key, value = (
            project(hidden_states).unflatten(2, (self.num_heads, self.head_dim)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        gate = self._gate(heads)
        bias = gate * position_bias
        if attention_mask is not None:  # in one pass over (B, H, N, N)
            bias = torch.addcmul(attention_mask.to(gate.dtype), gate, position_bias.to(gate.dtype))
        mixed = functional.scaled_dot_product_attention(
            query, key, value, bias.to(query.dtype), self.dropout if self.training else 0.0
        )
        return self.out_proj(mixed.transpose(1, 2).flatten(2)), None, position_bias

    def _gate(self, heads: Tensor) -> Tensor:
        """(B, H, N, 1), how much of the bias a query takes."""
        gates = self.gru_rel_pos_linear(heads).unflatten(3, (2, 4)).sum(-1).sigmoid()
        update, reset = gates.chunk(2, dim=-1)
        return update * (reset * self.gru_rel_pos_const - 1.0) + 2.0

    def relative_bias(self, num_frames: int) -> Tensor:
        """(H, N, N), of the distance from query to key: 2 N - 1 distances are looked up, not N * N."""
        device = self.rel_attn_embed.weight.device
        distances = torch.arange(1 - num_frames, num_frames, device=device)
        by_distance = self.rel_attn_embed(self._relative_positions_bucket(distances)).T
        return by_distance.unfold(1, num_frames, 1).flip(1)
