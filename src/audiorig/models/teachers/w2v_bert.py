"""W2V-BERT 2.0 as a teacher: one layer's features of whole recordings.

The network is Seamless Communication et al., "Seamless: Multilingual Expressive and Streaming
Speech Translation" (2023), section 3.2; which layer is of use is known from codecs that predict
it: 16 (X-codec2), 17 (MaskGCT, DualCodec).
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchaudio.compliance import kaldi
from transformers import Wav2Vec2BertConfig, Wav2Vec2BertModel

from audiorig.data.resample import read_resampled, resampled_length
from audiorig.errors import ConfigError, DataError
from audiorig.files import read_json

RATE_HZ = 16000
HOP, WINDOW = 160, 400  # samples of a filterbank frame
FRAMES_AT_ONCE = 6000  # filterbank frames that are computed at a time, 60 s: 12 MB of spectra
SPAN = 1500  # frames that the network sees at a time, 30 s: its attention needs J x J x 80 numbers
MARGIN = 100  # frames, 2 s, that a cut keeps away from the edge of what the network saw

# What the published folder says, and what this code takes for granted.
EXPECTED: dict[str, dict[str, object]] = {
    "config.json": {"model_type": "wav2vec2-bert"},
    "preprocessor_config.json": {
        "feature_extractor_type": "SeamlessM4TFeatureExtractor",
        "sampling_rate": RATE_HZ,
        "num_mel_bins": 80,
        "stride": 2,
    },
}


class Span(NamedTuple):
    """Frames ``begin`` to ``end`` that the network sees at a time, of which some are kept."""

    begin: int
    end: int
    keep_begin: int
    keep_end: int


class W2VBertTeacher:
    """A layer of W2V-BERT, frozen.

    Args:
        folder: a folder as published: config.json, model.safetensors, preprocessor_config.json.
        layer: index into ``hidden_states``; 0 is what enters the first layer. Later layers are let go.
        device: where the network runs.
        dtype: ``torch.float32`` or ``torch.bfloat16`` for the network; the rest is float32.

    Raises:
        ConfigError: if the folder is of another family, its weights do not fit, or it has no such layer.
    """

    def __init__(
        self, folder: Path, layer: int, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        config = _checked_config(folder)
        if not 0 <= layer <= config.num_hidden_layers:
            raise ConfigError(f"{folder}: no layer {layer}: expected 0 to {config.num_hidden_layers}")
        self.layer, self.width, self.device = layer, config.hidden_size, torch.device(device)
        self._model = _load(folder, dtype)
        del self._model.encoder.layers[max(1, layer) :]  # what enters the first is noted as the first runs
        self._model.to(self.device)  # type: ignore[arg-type]

    def features(self, waveform: NDArray[np.float32], rate_hz: int = RATE_HZ) -> NDArray[np.float32]:
        """Features of a whole recording.

        The filterbank is standardised over the recording, as in training: give whole recordings,
        not crops. A recording of more than 30 s is seen in spans of 30 s that share 4 s, cut in
        the middle of what they share, so each frame was seen with 2 s or more on either side.

        Args:
            waveform: (T,) in [-1, 1].
            rate_hz: its sample rate.

        Returns:
            float32 (J, K), frame j centred at 20 j + 17.5 ms; J = 50 a second, less half a frame.

        Raises:
            DataError: if the recording is shorter than 35 ms.
        """
        if rate_hz != RATE_HZ:
            length = resampled_length(len(waveform), rate_hz, RATE_HZ)
            waveform = read_resampled(
                lambda begin, end: waveform[begin:end], len(waveform), rate_hz, 0, length, RATE_HZ
            )
        if len(waveform) < WINDOW + HOP:
            raise DataError(
                f"a recording of {len(waveform) / RATE_HZ:.3f} s is too short for W2V-BERT: expected 0.035 s or more"
            )
        inputs = filterbank(torch.from_numpy(waveform).to(self.device))
        features = np.empty((len(inputs), self.width), dtype=np.float32)
        for begin, end, keep_begin, keep_end in spans(len(inputs)):
            hidden = self._hidden(inputs[begin:end])
            features[keep_begin:keep_end] = hidden[keep_begin - begin : keep_end - begin].cpu().numpy()
        return features

    @torch.inference_mode()
    def _hidden(self, inputs: Tensor) -> Tensor:
        """Float32 (J, K) on the device, for filterbank frames (J, 160)."""
        output = self._model(inputs[None].to(self._model.dtype), output_hidden_states=True)
        return output.hidden_states[self.layer][0].float()


def filterbank(waveform: Tensor) -> Tensor:
    """What W2V-BERT reads: log-mel energies, standardised over the recording, two frames in one.

    Kaldi's filterbank by torchaudio, on the waveform's device. The extractor of transformers gives
    the same to 2e-4 (a test compares them), on a CPU only, at half the speed.

    Args:
        waveform: float32 (T,) at 16 kHz.

    Returns:
        float32 (J, 160); a last odd frame is dropped.
    """
    num_frames = 1 + (len(waveform) - WINDOW) // HOP
    energies = torch.cat(
        [
            kaldi.fbank(
                waveform[None, begin * HOP : (min(begin + FRAMES_AT_ONCE, num_frames) - 1) * HOP + WINDOW] * 2**15,
                num_mel_bins=80,
                sample_frequency=RATE_HZ,
            )
            for begin in range(0, num_frames, FRAMES_AT_ONCE)
        ]
    )
    energies = (energies - energies.mean(0)) / (energies.var(0) + 1e-7).sqrt()
    return energies[: num_frames // 2 * 2].reshape(num_frames // 2, -1)


def spans(num_frames: int, span: int = SPAN, margin: int = MARGIN) -> list[Span]:
    """Cut ``num_frames`` into spans of at most ``span`` that share ``2 * margin``, kept to the middle of that.

    The last span reaches back, so that it is as long as the others.
    """
    found: list[Span] = []
    begin = keep_begin = 0
    while begin + span < num_frames:
        keep_end = begin + span - margin
        found.append(Span(begin, begin + span, keep_begin, keep_end))
        begin, keep_begin = begin + span - 2 * margin, keep_end
    found.append(Span(max(0, min(begin, num_frames - span)), num_frames, keep_begin, num_frames))
    return found


def _load(folder: Path, dtype: torch.dtype) -> Wav2Vec2BertModel:
    """The whole network, frozen; never from a pickle."""
    loaded: Any = Wav2Vec2BertModel.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, dtype=dtype, output_loading_info=True
    )
    model, report = loaded
    # What is missing would be random, with no more than a warning. Only pre-training needs a vector for masked frames.
    if missing := sorted(set(report["missing_keys"]) - {"masked_spec_embed"}):
        raise ConfigError(
            f"{folder / 'model.safetensors'}: {len(missing)} weights are missing, {missing[0]} among them: "
            "expected the file that belongs to config.json"
        )
    return model.eval().requires_grad_(False)


def _checked_config(folder: Path) -> Wav2Vec2BertConfig:
    """The network's settings, if the folder is what this module is written for."""
    for name, expected in EXPECTED.items():
        try:
            content = read_json(folder / name)
        except (OSError, json.JSONDecodeError) as error:
            raise ConfigError(f"{folder / name}: cannot be read ({error}): expected a folder of w2v-bert-2.0") from None
        for key, value in expected.items():
            if content.get(key) != value:
                raise ConfigError(
                    f"{folder / name}: {key} is {content.get(key)!r}: expected {value!r}, as in w2v-bert-2.0"
                )
    if not (folder / "model.safetensors").is_file():
        raise ConfigError(f"{folder}: model.safetensors is missing: expected a folder of w2v-bert-2.0")
    config = Wav2Vec2BertConfig.from_pretrained(folder, local_files_only=True)
    if config.feature_projection_input_dim != 160:
        raise ConfigError(
            f"{folder / 'config.json'}: feature_projection_input_dim is {config.feature_projection_input_dim}: "
            "expected 160, two frames of 80 bands"
        )
    return config
