"""Which of an encoder's own weights learn: all, none, some of its blocks, or modules by name.

An encoder is taken in three parts: its front (what comes before the first block: convolutions,
projection, positions), its blocks, and what stands behind the last one (a final norm, if it has
one), which learns whenever the last block does.
"""

import difflib
from collections.abc import Collection, Iterable, Mapping

from audiorig.config import TuningConfig
from audiorig.errors import ConfigError
from audiorig.models.encoders.base import SpeechEncoder

FRONT, BEHIND = "front", "behind"
Place = str | int  # FRONT, the number of a block, or BEHIND

# Parameters that no gradient ever reaches, by the end of their name. Marked as learning, they would be carried
# through every step of the optimizer and every checkpoint, and the gate would rightly stop the run. Whisper's
# sinusoids and WaveMAE's mask token are no parameters of their encoders in the first place.
FIXED: Mapping[str, tuple[str, ...]] = {
    # What pre-training puts in the place of hidden frames: no frame of a clip is hidden, so nothing reads it.
    "wav2vec2": ("masked_spec_embed",),
    "hubert": ("masked_spec_embed",),
    "wavlm": ("masked_spec_embed",),
    "whisper": (),
    "wavemae": (),
}


def learning_names(encoder: SpeechEncoder, settings: TuningConfig) -> set[str]:
    """Names of a plain encoder's parameters that learn.

    Raises:
        ConfigError: if a block or a module that is named does not exist, or cannot learn.
    """
    places = {name: place_of(name, encoder) for name, _ in encoder.named_parameters()}
    chosen = _places_that_learn(settings, encoder)
    can_learn = set(places) - fixed_names(encoder)
    if settings.freeze_front:
        can_learn = {name for name in can_learn if places[name] != FRONT}
    learning = {name for name in can_learn if places[name] in chosen}
    for entry in settings.modules:
        learning |= _named_by(entry, encoder, can_learn)
    return learning


def place_of(name: str, encoder: SpeechEncoder) -> Place:
    """Where a parameter lies, by its dotted name in the encoder: FRONT, the number of its block, or BEHIND."""
    for number, block in enumerate(encoder.block_names):
        if _is_within(name, block):
            return number
    return FRONT if any(_is_within(name, front) for front in encoder.front_names) else BEHIND


def fixed_names(encoder: SpeechEncoder) -> set[str]:
    """Names of the parameters that never learn: see ``FIXED``."""
    ends = tuple(f".{end}" for end in FIXED[encoder.family])
    return {name for name, _ in encoder.named_parameters() if f".{name}".endswith(ends)}


def check_blocks(numbers: Iterable[int], encoder: SpeechEncoder, key: str) -> None:
    """Raise ConfigError if a block that a setting names does not exist."""
    wrong = sorted({number for number in numbers if not 0 <= number < encoder.num_blocks})
    if wrong:
        raise ConfigError(f"{key} names {', '.join(map(str, wrong))}, and {_blocks_of(encoder)}")


def near_matches(wanted: str, names: Collection[str]) -> str:
    """The known parts of names that look most like the wanted one: " (near: a, b)", or ""."""
    size = wanted.count(".") + 1
    split = [name.split(".") for name in names]
    known = {".".join(parts[first : first + size]) for parts in split for first in range(len(parts) - size + 1)}
    near = difflib.get_close_matches(wanted, sorted(known), n=3, cutoff=0.5)
    return f" (near: {', '.join(near)})" if near else ""


def _places_that_learn(settings: TuningConfig, encoder: SpeechEncoder) -> set[Place]:
    num_blocks = encoder.num_blocks
    match settings.learn:
        case "nothing":
            return set()
        case "all":
            return {FRONT, *range(num_blocks), BEHIND}
        case "all_but_last":
            return {FRONT, *range(num_blocks - 1)}
        case "half":
            chosen = set(range(num_blocks // 2, num_blocks))
        case "last":
            if settings.num_last > num_blocks:
                raise ConfigError(f"tuning.num_last is {settings.num_last}, and {_blocks_of(encoder)}")
            chosen = set(range(num_blocks - settings.num_last, num_blocks))
        case "layers":
            check_blocks(settings.layers, encoder, "tuning.layers")
            chosen = set(settings.layers)
    return {*chosen, BEHIND} if num_blocks - 1 in chosen else {*chosen}


def _named_by(entry: str, encoder: SpeechEncoder, can_learn: Collection[str]) -> set[str]:
    """Parameters that lie in a module whose name begins or ends with an entry, or are called so."""
    names = [name for name, _ in encoder.named_parameters()]
    # A module whose name ends with the entry has it somewhere in the names of its parameters.
    found = {name for name in names if f".{entry}." in f".{name}."}
    if not found:
        raise ConfigError(
            f"tuning.modules names {entry!r}, and no module of this {encoder.family} encoder begins or ends so"
            f"{near_matches(entry, names)}; write whole parts between dots, e.g. {encoder.block_names[0]}"
        )
    if not found & set(can_learn):
        raise ConfigError(
            f"tuning.modules names {entry!r}, and nothing of it can learn: no clip's features depend on it, or "
            "tuning.freeze_front keeps it as it is; take out the entry, or freeze_front"
        )
    return found & set(can_learn)


def _is_within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def _blocks_of(encoder: SpeechEncoder) -> str:
    return f"this {encoder.family} encoder has {encoder.num_blocks} blocks, 0 to {encoder.num_blocks - 1}"
