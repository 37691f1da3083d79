"""The generated corpus: six languages crossed with 24 voices, so that both are known exactly.

Speech comes from espeak-ng, through a random recording channel. Nobody has to be asked, nothing
is downloaded, and the same settings give the same files, byte for byte.
"""

import csv
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from audiorig.data.channel import random_channel
from audiorig.data.corpora.espeak import speak
from audiorig.data.corpora.generated import write_clips
from audiorig.randomness import keyed_generator

if TYPE_CHECKING:
    from audiorig.config import DemoCorpus

SAMPLE_RATE_HZ = 24_000
METADATA_COLUMNS = ("path", "participant_id", "sex", "language", "sentence", "subset", "side")
RATE_WPM = (140, 200)
PITCH = (42, 58)
INTONATION_RANGE = (35, 65)
# Quieter than -60 dBFS before and after the words is cut, but for a short margin.
SILENCE = 32
MARGIN_SEC = 0.05

Sex = Literal["f", "m"]
Side = Literal["train", "dev", "test"]
Subset = Literal["probe", "pretrain"]

LANGUAGES = ("en", "de", "fr", "es", "it", "ru")


@dataclass(frozen=True)
class Voice:
    """One speaker: an espeak-ng variant under the name of a participant."""

    name: str
    variant: str
    sex: Sex
    side: Side


def _number_voices(sex: Sex, variants: dict[Side, str]) -> tuple[Voice, ...]:
    cast = [(variant, side) for side, names in variants.items() for variant in names.split()]
    return tuple(Voice(f"voice-{sex}{i:02d}", variant, sex, side) for i, (variant, side) in enumerate(cast, 1))


# Plain variants only: none whispers, croaks or chants, none uses the Klatt synthesiser.
VOICES = (
    *_number_voices("f", {"train": "f1 f3 f5 anika Andrea steph", "dev": "f4 Annie", "test": "f2 belinda"}),
    *_number_voices(
        "m", {"train": "m1 m2 m5 m7 m8 Gene Diogo quincy", "dev": "m4 max", "test": "m3 m6 robert antonio"}
    ),
)

# Subjects, verb phrases and objects of each language. Subjects are third person singular, objects
# are things in the case that all the verbs take, and no verb shows gender: so any three of a
# language make a grammatical sentence.
SENTENCES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "en": (
        (
            "my younger sister", "the old fisherman", "our new neighbour", "a friendly doctor",
            "the tired gardener", "the village baker", "her quiet uncle", "the young painter",
        ),
        (
            "is still looking for", "has finally found", "often talks about", "wants to buy",
            "would never sell", "is carefully cleaning", "secretly hides", "proudly shows us",
        ),
        (
            "a small wooden boat", "the yellow umbrella", "an old bicycle", "the broken lantern",
            "a basket of apples", "the heavy green suitcase", "a warm winter coat", "the silver kitchen clock",
        ),
    ),
    "de": (
        (
            "meine jüngere Schwester", "der alte Fischer", "unser neuer Nachbar", "eine freundliche Ärztin",
            "der müde Gärtner", "die Bäckerin im Dorf", "ihr stiller Onkel", "der junge Maler",
        ),
        (
            "sucht schon lange", "findet endlich", "verkauft heute", "kauft am Freitag",
            "putzt jeden Morgen", "versteckt heimlich", "zeichnet sorgfältig", "zeigt uns stolz",
        ),
        (
            "ein kleines Holzboot", "den gelben Regenschirm", "das alte Fahrrad", "die kaputte Laterne",
            "einen Korb mit Äpfeln", "den schweren Koffer", "einen warmen Mantel", "die silberne Küchenuhr",
        ),
    ),
    "fr": (
        (
            "ma petite sœur", "le vieux pêcheur", "notre nouveau voisin", "un médecin aimable",
            "le jardinier fatigué", "la boulangère du village", "son oncle silencieux", "le jeune peintre",
        ),
        (
            "cherche depuis hier", "retrouve enfin", "vend aujourd'hui", "achète parfois",
            "nettoie chaque matin", "cache en secret", "dessine avec soin", "montre fièrement",
        ),
        (
            "un petit bateau en bois", "le parapluie jaune", "une vieille bicyclette", "la lanterne cassée",
            "un panier de pommes", "la grosse valise verte", "un manteau d'hiver", "l'horloge de la cuisine",
        ),
    ),
    "es": (
        (
            "mi hermana menor", "el viejo pescador", "nuestro vecino", "una doctora",
            "el jardinero cansado", "la panadera", "su tío silencioso", "el joven pintor",
        ),
        (
            "busca desde ayer", "encuentra por fin", "vende esta tarde", "compra el viernes",
            "limpia cada mañana", "esconde en secreto", "dibuja con cuidado", "enseña a todos",
        ),
        (
            "un barco de madera", "el paraguas amarillo", "una bicicleta vieja", "la linterna rota",
            "una cesta de manzanas", "la maleta verde", "un abrigo de lana", "el reloj de la cocina",
        ),
    ),
    "it": (
        (
            "mia sorella minore", "il vecchio pescatore", "il nostro vicino", "una dottoressa",
            "il giardiniere stanco", "la fornaia", "suo zio Alberto", "il giovane pittore",
        ),
        (
            "cerca da ieri", "ritrova per caso", "vende oggi stesso", "compra volentieri",
            "pulisce ogni mattina", "nasconde in segreto", "disegna con cura", "mostra a tutti",
        ),
        (
            "una barchetta di legno", "l'ombrello giallo", "una vecchia bicicletta", "la lanterna rotta",
            "un cesto di mele", "la valigia verde", "un cappotto pesante", "l'orologio della cucina",
        ),
    ),
    "ru": (
        (
            "моя младшая сестра", "старый рыбак", "наш новый сосед", "приветливая учительница",
            "усталый садовник", "пекарь из деревни", "её тихий дядя", "молодой художник",
        ),
        (
            "давно ищет", "случайно находит", "сегодня продаёт", "наконец покупает",
            "каждое утро чистит", "тайно прячет", "старательно рисует", "гордо нам показывает",
        ),
        (
            "маленькую деревянную лодку", "жёлтый зонтик", "старый велосипед", "сломанный фонарь",
            "полную корзину яблок", "тяжёлый зелёный чемодан", "тёплое зимнее пальто", "серебряные кухонные часы",
        ),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Clip:
    """All there is to say about one file before it is spoken."""

    path: str
    participant_id: str
    sex: Sex
    language: str
    sentence: str
    subset: Subset
    side: Side
    variant: str
    index: int
    rate_wpm: int
    pitch: int
    range: int


def plan_clips(settings: "DemoCorpus") -> list[Clip]:
    """List every clip of the corpus, sorted by path.

    Every cell of a language and a voice has the probe clips; cells of the training voices have
    pre-training clips besides, with other sentences. Probe clip k of n takes its object from the
    k-th of n parts of the list, so a split by `index` leaves no object on two sides (n <= 8).

    Raises:
        ValueError: if a language is unknown, or a cell needs more sentences than there are.
    """
    unknown = sorted(set(settings.languages) - set(LANGUAGES))
    if unknown:
        raise ValueError(f"languages {unknown}: expected some of {list(LANGUAGES)}")
    cells = product(dict.fromkeys(settings.languages), VOICES)
    return sorted((clip for cell in cells for clip in _plan_cell(settings, *cell)), key=lambda clip: clip.path)


def render_clip(clip: Clip, seed: int) -> npt.NDArray[np.int16]:
    """Speak one clip and record it through its channel: a function of clip and seed only.

    Returns:
        int16 (T,) at 24 kHz.
    """
    spoken, spoken_rate_hz = speak(clip.sentence, clip.language, clip.variant, clip.rate_wpm, clip.pitch, clip.range)
    # VHQ runs in double precision, so the 16 bits do not depend on the processor's last bits.
    waveform = soxr.resample(trim_silence(spoken, spoken_rate_hz) / 32768, spoken_rate_hz, SAMPLE_RATE_HZ, "VHQ")
    recorded = random_channel(waveform, SAMPLE_RATE_HZ, keyed_generator("demo-channel", seed, clip.path))
    return np.rint(recorded * 32768).astype(np.int16)


def synthesize(settings: "DemoCorpus", root: Path, num_workers: int) -> None:
    """Write all clips below `root` as 24 kHz WAV files, then `metadata.csv`.

    The table comes last and in one step: where it exists, so does every file that it names.

    Args:
        settings: seed, languages and numbers of clips.
        root: folder of the corpus; clips go to {language}/{participant_id}/.
        num_workers: processes that speak; one means this process.

    Raises:
        RuntimeError: naming the clip that could not be made.
    """
    clips = plan_clips(settings)
    metadata_path = root / "metadata.csv"
    metadata_path.unlink(missing_ok=True)
    write = partial(_write_clip, root=root, seed=settings.seed)
    write_clips(write, {clip.path: clip for clip in clips}, root, root.glob("*/voice-*/*.wav"), num_workers)
    _write_metadata(clips, metadata_path)


def _plan_cell(settings: "DemoCorpus", language: str, voice: Voice) -> Iterator[Clip]:
    probe = _probe_sentences(settings, language, voice)
    for index, sentence in enumerate(probe):
        yield _plan_clip(settings.seed, language, voice, "probe", index, sentence)
    if voice.side != "train":
        return
    spoken = set(probe)
    others = [s for s in map(_sentence, product(*SENTENCES[language])) if s not in spoken]
    if len(others) < settings.pretrain_clips_per_cell:
        wanted = len(probe) + settings.pretrain_clips_per_cell
        raise ValueError(f"{language} {voice.name}: {wanted} clips wanted, expected at most {len(probe) + len(others)}")
    order = keyed_generator("demo-pretrain", settings.seed, language, voice.name).permutation(len(others))
    for index in range(settings.pretrain_clips_per_cell):
        yield _plan_clip(settings.seed, language, voice, "pretrain", index, others[order[index]])


def _probe_sentences(settings: "DemoCorpus", language: str, voice: Voice) -> list[str]:
    subjects, verbs, objects = SENTENCES[language]
    openings = list(product(subjects, verbs))
    num_clips = settings.probe_clips_per_cell
    if num_clips > len(openings):
        raise ValueError(f"probe_clips_per_cell is {num_clips}, expected at most {len(openings)}")
    generator = keyed_generator("demo-probe", settings.seed, language, voice.name)
    order = generator.permutation(len(openings))
    sentences = []
    for index in range(num_clips):
        first = index * len(objects) // num_clips
        last = max(first + 1, (index + 1) * len(objects) // num_clips)
        sentences.append(_sentence((*openings[order[index]], objects[generator.integers(first, last)])))
    return sentences


def _sentence(parts: tuple[str, ...]) -> str:
    text = " ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _plan_clip(seed: int, language: str, voice: Voice, subset: Subset, index: int, sentence: str) -> Clip:
    path = f"{language}/{voice.name}/{subset}-{index:03d}.wav"
    generator = keyed_generator("demo-prosody", seed, path)
    rate_wpm, pitch, intonation_range = (
        int(generator.integers(low, high, endpoint=True)) for low, high in (RATE_WPM, PITCH, INTONATION_RANGE)
    )
    return Clip(
        path=path, participant_id=voice.name, sex=voice.sex, language=language, sentence=sentence, subset=subset,
        side=voice.side, variant=voice.variant, index=index, rate_wpm=rate_wpm, pitch=pitch, range=intonation_range,
    )  # fmt: skip


def trim_silence(samples: npt.NDArray[np.int16], sample_rate_hz: int) -> npt.NDArray[np.int16]:
    """An utterance (T,) without the silence around it, but for a short margin."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > SILENCE)
    if loud.size == 0:
        return samples
    margin = round(MARGIN_SEC * sample_rate_hz)
    return samples[max(loud[0] - margin, 0) : loud[-1] + 1 + margin]


def _write_clip(clip: Clip, root: Path, seed: int) -> None:
    try:
        soundfile.write(root / clip.path, render_clip(clip, seed), SAMPLE_RATE_HZ, subtype="PCM_16")
    except Exception as error:
        raise RuntimeError(f"{clip.path}: {error}") from error


def _write_metadata(clips: Iterable[Clip], path: Path) -> None:
    aside = path.with_name(path.name + ".part")
    with aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, METADATA_COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(clip) for clip in clips)
    os.replace(aside, path)
