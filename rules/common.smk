# Settings, read and checked once, before any job; and what the rules ask of them. No rules here.
import sys
from dataclasses import asdict

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "src"))
shell.prefix(f"source '{ROOT}/workflow/prelude.sh'; ")

from audiorig.config import STAGES, DemoCorpus, FolderCorpus, TeacherConfig
from audiorig.config_checks import canonical_json, one_of
from audiorig.config_files import Settings
from audiorig.config_stages import corpus_root
from audiorig.config_targets import check_targets
from audiorig.errors import ConfigError

try:
    SETTINGS = Settings(config, ROOT / "config")
    check_targets(SETTINGS, sys.argv[1:])
except ConfigError as error:
    sys.exit(f"error: {error}")


wildcard_constraints:
    run=SETTINGS.run_pattern,
    sweep=one_of(SETTINGS.sweep_names),
    corpus=one_of(SETTINGS.corpus_names),
    pretrained=one_of(SETTINGS.pretrained_names),
    stage="|".join(STAGES),
    split="[^/]+",
    shard=r"\d+",
    shards=r"\d+",
    pitch="[^/]+",
    teacher="[^/]+",


def corpus_file(pattern):
    """Input function: a file of the corpus that a run reads; {corpus} and {split} are filled in."""
    return lambda wildcards: pattern.format(
        corpus=SETTINGS.run(wildcards.run).data.corpus,
        split=SETTINGS.run(wildcards.run).data.split,
    )


CORPUS = corpus_file("results/corpora/{corpus}/corpus.yaml")
SPLIT = corpus_file("results/corpora/{corpus}/splits/{split}/split_summary.json")


def shared(pattern, *stages):
    """Input function: a file that rests on some stages' settings alone, of the run that stands for all equal ones."""
    return lambda wildcards: pattern.format(run=SETTINGS.standing_for(wildcards.run, *stages))


STATISTICS = shared("results/{run}/statistics.safetensors", "data")
PLAN = shared("results/{run}/probe/plan.json", "data", "probe")


def of_both(pattern):
    """Input function: a file of a run, and that of the run that its `report.compare_with` means."""
    return lambda wildcards: [pattern.format(run=run) for run in (wildcards.run, SETTINGS.compared_with(wildcards.run))]


def split_folder(wildcards):
    return str(Path(SPLIT(wildcards)).parent)


def known_before(wildcards):
    """What must exist before files are listed: a generated corpus' audio, a folder's table."""
    name = wildcards.corpus
    corpus = SETTINGS.corpus(name)
    if isinstance(corpus, DemoCorpus):
        return f"data/{name}/metadata.csv"
    root = corpus_root(name, corpus)
    return str(root / corpus.metadata) if isinstance(corpus, FolderCorpus) and corpus.metadata else []


def scans_of(wildcards):
    """Scans that a manifest is put together from; none where one job does it all."""
    num_shards = SETTINGS.corpus(wildcards.corpus).manifest.num_shards
    shards = range(num_shards) if num_shards > 1 else []
    return [f"results/corpora/{wildcards.corpus}/scan/shard-{shard}.arrow" for shard in shards]


def memory_for(wildcards):
    """Megabytes for all rows of a corpus: 1.5 GB for each million of files, about one million a shard."""
    return 1000 + 1500 * SETTINGS.corpus(wildcards.corpus).manifest.num_shards


def pitch_shards(wildcards):
    """The measured pitch that a run's pitch decoder learns from; none without that decoder."""
    run = SETTINGS.run(wildcards.run)
    if not run.model.weights.aux_crepe or run.pitch.source == "live":
        return []
    key, num_shards = run.pitch.key(run.data.sample_rate_hz, run.spectrogram.hop), run.pitch.num_shards
    folder = f"results/corpora/{run.data.corpus}/features/{key}"
    return [f"{folder}/shard-{shard}-of-{num_shards}.arrow" for shard in range(num_shards)]


def teacher_folder(run):
    """Where the features of a run's teacher lie; None where the model computes BEST-RQ codes itself."""
    if not run.model.weights.aux_w2v or run.teacher.kind == "bestrq":
        return None
    return f"results/corpora/{run.data.corpus}/splits/{run.data.split}/teacher/{run.teacher.key}"


def teacher_shards(wildcards):
    """The features that a run's W2V decoder learns, where they are computed beforehand."""
    run = SETTINGS.run(wildcards.run)
    folder, num_shards = teacher_folder(run), run.teacher.num_shards
    if folder is None or run.teacher.source == "live":
        return []
    return [f"{folder}/shard-{shard}-of-{num_shards}.arrow" for shard in range(num_shards)]


def teacher_reduction(wildcards):
    folder = teacher_folder(SETTINGS.run(wildcards.run))
    return f"{folder}/statistics.safetensors" if folder else []


def live_teacher(wildcards):
    """The network itself, where it is asked while training."""
    run = SETTINGS.run(wildcards.run)
    is_live = teacher_folder(run) and run.teacher.source == "live"
    return f"pretrained/{run.teacher.pretrained}/manifest.json" if is_live else []


def pretrained_of_teacher(wildcards):
    return f"pretrained/{TeacherConfig.of_key(wildcards.teacher).pretrained}/manifest.json"
