"""Speech from espeak-ng that depends on the arguments and on nothing else.

The library keeps state between utterances: the phase of its oscillators, its noise, a seed taken
from the clock. Measured on espeak-ng as packed by espeakng-loader 0.2.4, the same sentence twice:

- one instance for all: differs, even in length;
- C `srand`, `espeak_ng_SetRandSeed`, or `espeak_Terminate` and `espeak_Initialize` for each
  clip, alone or together: differs;
- a forked child for each clip, from a parent that never spoke, with a seed: exact, 15 ms;
- the library loaded, seeded, and unloaded again for each clip: exact, 4 ms, and the same
  samples as from the forked child. This is what is done here.
"""

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import espeakng_loader
import numpy as np
import numpy.typing as npt

# Values of enumerations in espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_POSITION_CHARACTER = 1
_PARAMETER_RATE, _PARAMETER_PITCH, _PARAMETER_RANGE = 1, 3, 4

_RANDOM_SEED = 1
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
# One instance per process: the library is all global variables.
_lock = threading.Lock()


def speak(
    text: str,
    voice: str = "en",
    variant: str = "f1",
    rate_wpm: int = 170,
    pitch: int = 50,
    range: int = 50,
) -> tuple[npt.NDArray[np.int16], int]:
    """Synthesise one utterance; equal arguments give equal samples, in any process and order.

    Args:
        text: what to say.
        voice: name of an espeak-ng language; French is "fr", not "fr-fr".
        variant: file in espeak-ng-data/voices/!v that sets pitch and formants.
        rate_wpm: words per minute, 80 to 450.
        pitch: 0 to 100, 50 being the variant's own.
        range: how lively the intonation is, 0 to 100.

    Returns:
        int16 (T,) and the sample rate in hertz.

    Raises:
        ValueError: if voice or variant is unknown, or the text gives no sound.
        RuntimeError: if the library fails, or something else in this process has loaded it.
    """
    data_path = Path(espeakng_loader.get_data_path())
    # An unknown variant is ignored by the library, without an error.
    if variant not in os.listdir(data_path / "voices" / "!v"):
        raise ValueError(f"espeak-ng variant {variant!r}: no such file in voices/!v")
    name = f"{voice}+{variant}"
    chunks: list[bytes] = []

    def collect(samples: "ctypes._Pointer[ctypes.c_short]", num: int, _events: int | None) -> int:
        if samples and num > 0:
            chunks.append(ctypes.string_at(samples, 2 * num))
        return 0

    callback = _Callback(collect)
    with _lock, _fresh_library() as library:
        sample_rate_hz = library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, 0, os.fsencode(data_path), _INITIALIZE_DONT_EXIT
        )
        if sample_rate_hz <= 0:
            raise RuntimeError(f"espeak_Initialize returned {sample_rate_hz}, expected a rate")
        try:
            _seed(library)
            library.espeak_SetSynthCallback(callback)
            if (code := library.espeak_SetVoiceByName(name.encode())) != 0:
                raise ValueError(f"espeak-ng voice {name!r}: unknown (code {code}, expected 0)")
            _set_parameters(library, rate_wpm, pitch, range)
            _synthesise(library, text)
        finally:
            code = library.espeak_Terminate()
        _check("espeak_Terminate", code)

    samples = np.frombuffer(b"".join(chunks), dtype=np.int16)
    if not samples.any():
        raise ValueError(f"espeak-ng voice {name!r} made no sound of {text!r}")
    return samples, sample_rate_hz


@contextmanager
def _fresh_library() -> Iterator[ctypes.CDLL]:
    """The library with all its variables as the linker left them; unloaded on the way out."""
    path = espeakng_loader.get_library_path()
    try:
        ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
    except OSError:
        pass
    else:
        # Its variables may hold anything, so what it says would not be a function of the text.
        raise RuntimeError(f"{Path(path).name} is already loaded in this process")
    library = ctypes.CDLL(path)
    library.espeak_Initialize.argtypes = [
        ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int,
    ]  # fmt: skip
    library.espeak_SetSynthCallback.argtypes = [_Callback]
    library.espeak_SetSynthCallback.restype = None
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    library.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int,
        ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    try:
        yield library
    finally:
        _unload(library)


def _unload(library: ctypes.CDLL) -> None:
    dlclose = ctypes.CDLL(None).dlclose
    dlclose.argtypes = [ctypes.c_void_p]
    _check("dlclose", dlclose(library._handle))


def _seed(library: ctypes.CDLL) -> None:
    # Initialising seeds from the clock. The Klatt variants draw from the C library's generator.
    library.espeak_ng_SetRandSeed(ctypes.c_long(_RANDOM_SEED))
    ctypes.CDLL(None).srand(ctypes.c_uint(_RANDOM_SEED))


def _set_parameters(library: ctypes.CDLL, rate_wpm: int, pitch: int, range: int) -> None:
    values = {_PARAMETER_RATE: rate_wpm, _PARAMETER_PITCH: pitch, _PARAMETER_RANGE: range}
    for parameter, value in values.items():
        code = library.espeak_SetParameter(parameter, value, 0)
        _check(f"espeak_SetParameter({parameter}, {value})", code)


def _synthesise(library: ctypes.CDLL, text: str) -> None:
    encoded = text.encode()
    code = library.espeak_Synth(encoded, len(encoded) + 1, 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None)
    _check(f"espeak_Synth({text!r})", code)


def _check(call: str, code: int) -> None:
    if code != 0:
        raise RuntimeError(f"{call} returned {code}, expected 0")
