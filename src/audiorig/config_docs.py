"""``config/README.md`` and ``config/schema/*.json``, made from the models of ``config``."""

import json
import types
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic_core import PydanticUndefined

from audiorig.config import (
    AblationConfig,
    AnyRun,
    Audio2EdaRun,
    Case,
    CnnDecoderConfig,
    Corpus,
    CriesCorpus,
    DatasetConfig,
    DemoCorpus,
    DemoCriesCorpus,
    DemoEdaCorpus,
    DemoRatingsCorpus,
    EmiliaCorpus,
    FolderCorpus,
    HomeCorpus,
    HomeDemoCorpus,
    HomeWav2Vec2Run,
    ListenersCorpus,
    LossConfig,
    LstmDecoderConfig,
    PretrainedConfig,
    ProbeTask,
    Run,
    Section,
    SeededConfig,
    SplitConfig,
    TargetConfig,
    TransformerDecoderConfig,
    TransformerEncoderConfig,
    TuningRun,
    WaveMAERun,
    WaveNetConfig,
)

HEAD = """# Settings

Made from `src/audiorig/config` by `make docs`: do not edit.

A run is a file of `config/runs`, or a key of a config file that you give with `--configfile`. It states what differs
from the run that it `extends`; `null` takes an inherited setting away. A key of the command line beats the file:

```bash
snakemake --cores 2 --configfile my.yaml
snakemake --cores 2 --config 'wavemae={train: {max_steps: 500}}' -- results/wavemae/report.html
```

```yaml
# my.yaml
build: [mine]                      # the runs that a plain `snakemake` makes
mine:                              # a run of your own ...
  extends: wavemae                 # ... like this one, but for what follows
  data: {corpus: my-recordings, split: by-speaker}
  probe: {tasks: {language: {where: null}, voice-across-languages: null, voice-from-one-clip: null}}
corpora:
  my-recordings:
    kind: folder
    root: ~/recordings             # any tree of WAV and FLAC
    metadata: about.csv            # optional: path,participant_id,language,...
    splits: {by-speaker: {group: participant, stratify: language, labels: [language]}}
```

Every run is there with any seed, with the same settings: `results/wavemae/seed-3/final.ckpt`. With `seeds: [0, 1, 2]`
its page joins those runs. An ablation is a file of `config/ablations`, or an entry of `ablations:` in a config file:
cases that differ from a base run in a few settings, each trained with several seeds, on one page:

```bash
snakemake --cores 2 results/ablation-wavemae/report.html
```

```yaml
# my.yaml
ablations:
  kernels:
    base: wavemae
    seeds: [0, 1, 2]
    common: {train: {max_steps: 300, cpu_threads: 1}}          # one thread a run: two run side by side on two cores
    reference: as-it-is
    cases:
      as-it-is: {}
      short: {title: short kernels, settings: {model: {kernel: 3, wide_kernel: 7}}}
```

Units stand at the end of a name. The schemas in `config/schema` make editors complete and check these files.
"""


def readme() -> str:
    """The whole page."""
    parts = [HEAD]
    parts += _table("A run of WaveMAE (`experiment: wavemae`)", WaveMAERun, "")
    parts += _table(
        "A run of continued wav2vec2 pre-training (`experiment: homewav2vec2`; other keys as above)",
        HomeWav2Vec2Run,
        "",
        leave_out=tuple(AnyRun.model_fields),
    )
    parts += _table(
        "A run that tunes a speech encoder (`experiment: speechtune` or `infantcry`; other keys as above)",
        TuningRun,
        "",
        leave_out=tuple(AnyRun.model_fields),
    )
    parts += _table(
        "A run from music to skin conductance (`experiment: audio2eda`; other keys as above)",
        Audio2EdaRun,
        "",
        leave_out=tuple(AnyRun.model_fields),
    )
    parts += _table("An encoder of songs (`model.encoder`, `kind: wavenet`)", WaveNetConfig, "")
    parts += _table("An encoder of songs (`model.encoder`, `kind: transformer`)", TransformerEncoderConfig, "")
    parts += _table("A decoder of traces (`model.decoder`, `kind: cnn`)", CnnDecoderConfig, "")
    parts += _table("A decoder of traces (`model.decoder`, `kind: lstm`)", LstmDecoderConfig, "")
    parts += _table("A decoder of traces (`model.decoder`, `kind: transformer`)", TransformerDecoderConfig, "")
    parts += _table("A target (`targets.NAME`)", TargetConfig, "")
    parts += _table("A term of the loss (an entry of `losses`)", LossConfig, "")
    parts += _table("A probe task (`probe.tasks.NAME`)", ProbeTask, "")
    parts += _table("A corpus of kind `folder`", FolderCorpus, "")
    parts += _table("A corpus of kind `emilia`", EmiliaCorpus, "")
    parts += _table("A corpus of kind `demo`", DemoCorpus, "")
    parts += _table("A corpus of kind `home`", HomeCorpus, "")
    parts += _table("A corpus of kind `home-demo`", HomeDemoCorpus, "")
    parts += _table("A corpus of kind `cries`", CriesCorpus, "")
    parts += _table("A corpus of kind `demo-cries`", DemoCriesCorpus, "")
    parts += _table("A corpus of kind `demo-ratings`", DemoRatingsCorpus, "")
    parts += _table("A corpus of kind `listeners`", ListenersCorpus, "")
    parts += _table("A dataset of it (`datasets.NAME`)", DatasetConfig, "")
    parts += _table("A corpus of kind `demo-eda`", DemoEdaCorpus, "")
    parts += _table("A split (`splits.NAME` of a corpus)", SplitConfig, "")
    parts += _table("An ablation (`config/ablations/NAME.yaml`)", AblationConfig, "")
    parts += _table("A case (`cases.NAME` of an ablation, `ladder.NAME` of a run)", Case, "")
    parts += _table("A published model (an entry of `config/pretrained.yaml`)", PretrainedConfig, "")
    parts += _table("A model of random weights (another entry of it)", SeededConfig, "")
    return "\n".join(parts) + "\n"


def schemas() -> dict[str, str]:
    """File name -> JSON schema. Nothing is required: a file states only what differs."""
    kinds: dict[str, Any] = {
        "run.json": Run,
        "corpus.json": Corpus,
        "ablation.json": AblationConfig,
    }
    return {name: json.dumps(_relax(TypeAdapter(kind).json_schema()), indent=1) + "\n" for name, kind in kinds.items()}


def _table(title: str, section: type[BaseModel], prefix: str, leave_out: tuple[str, ...] = ()) -> list[str]:
    rows = [
        f"| `{key}` | {kind} | {default} | {meaning} |"
        for key, kind, default, meaning in _rows(section, prefix)
        if key.split(".")[0] not in leave_out
    ]
    return ["", f"## {title}", "", "| key | type | default | meaning |", "|---|---|---|---|", *rows]


def _rows(section: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _rows(kind, f"{prefix}{name}.")
            continue
        bounds = [f"{sign} {value}" for sign, value in _bounds(field.metadata)]
        default = field.get_default(call_default_factory=True)
        if default is PydanticUndefined:
            shown = "required"
        elif name in ("width", "depth") and default == 0:
            shown = "from `size`"
        elif isinstance(default, Section):
            shown = f"`{{kind: {getattr(default, 'kind', '')}}}`"
        else:
            shown = f"`{json.dumps(default)}`"
        text = ", ".join([_type_name(kind), *bounds]).replace("|", "\\|")
        yield f"{prefix}{name}", text, shown, (field.description or "").replace("|", "\\|")


def _bounds(metadata: list[Any]) -> Iterator[tuple[str, Any]]:
    for constraint in metadata:
        for attribute, sign in {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}.items():
            if (value := getattr(constraint, attribute, None)) is not None:
                yield sign, value


def _type_name(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join("null" if part is type(None) else _type_name(part) for part in arguments)
    if isinstance(kind, type) and issubclass(kind, Section):
        return "section"
    if origin is typing.Annotated:
        return _type_name(arguments[0])
    if origin is tuple:
        inner = [part for part in arguments if part is not Ellipsis]
        return f"list of {_type_name(inner[0])}" if Ellipsis in arguments else f"{len(inner)} x {_type_name(inner[0])}"
    if origin is dict and arguments[1] is Any:
        return "mapping"
    if origin is dict:
        is_section = isinstance(arguments[1], type) and issubclass(arguments[1], Section)
        return f"mapping to {'sections' if is_section else _type_name(arguments[1])}"
    return {"str": "text", "int": "integer", "float": "number", "bool": "true or false"}.get(
        getattr(kind, "__name__", ""), str(kind)
    )


def _relax(schema: Any) -> Any:
    """Drop `required`, and let a run name the one that it extends; which may say what experiment both are of."""
    if isinstance(schema, list):
        return [_relax(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    is_dropped = {"required": isinstance(schema.get("required"), list), "discriminator": True}
    relaxed = {
        {"oneOf": "anyOf"}.get(key, key): _relax(value) for key, value in schema.items() if not is_dropped.get(key)
    }
    properties = relaxed.get("properties", {})
    if "experiment" in properties:
        properties["extends"] = {
            "type": "string",
            "description": "The run whose settings are taken where none are given.",
        }
    return relaxed
