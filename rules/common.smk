# Settings, read and checked once, before any job; and what the rules ask of them. No rules here.
import os
import sys
from dataclasses import asdict

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "src"))
shell.prefix(f"source '{ROOT}/workflow/prelude.sh'; ")

from audiorig.config import (
    GENERATED,
    PUBLISH,
    STAGES,
    Audio2EdaRun,
    FolderCorpus,
    HomeCorpus,
    HomeWav2Vec2Run,
    ListenersCorpus,
    TeacherConfig,
    TuningRun,
    WaveMAERun,
    WithListeners,
)
from audiorig.config_checks import canonical_json, one_of
from audiorig.config_files import Settings
from audiorig.config_stages import corpus_root, corpus_url
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
    pretrained=one_of(SETTINGS.published_names),
    seeded=one_of(SETTINGS.seeded_names),
    stage=one_of([*STAGES, PUBLISH]),
    split="[^/]+",
    shard=r"\d+",
    shards=r"\d+",
    rate=r"\d+",
    pitch="(?!mfcc_|eda_)[^/]+",
    mfcc="mfcc_[^/]+",
    eda="eda_[^/]+",
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


def of_wavemae(pattern):
    """Input function: a file of WaveMAE's runs; other experiments have none."""
    return lambda wildcards: pattern.format(run=wildcards.run) if is_wavemae(wildcards.run) else []


def is_wavemae(name):
    return isinstance(SETTINGS.run(name), WaveMAERun)


def is_tuned(name):
    """Whether a run tunes an encoder to labels, and so is scored by its answers instead of by probes."""
    return isinstance(SETTINGS.run(name), TuningRun)


def is_eda(name):
    """Whether a run predicts listeners' traces, and so is scored by those."""
    return isinstance(SETTINGS.run(name), Audio2EdaRun)


def is_probed(name):
    """Whether a run's frozen encoder is asked, instead of what it answers itself."""
    return not (is_tuned(name) or is_eda(name))


def of_eda(pattern):
    """Input function: a file of the runs that predict listeners' traces; others have none."""
    return lambda wildcards: pattern.format(run=wildcards.run) if is_eda(wildcards.run) else []


def of_tuned(pattern):
    """Input function: a file of the runs that tune an encoder to labels; others have none."""
    return lambda wildcards: pattern.format(run=wildcards.run) if is_tuned(wildcards.run) else []


def of_probed(pattern):
    """Input function: a file of the runs whose encoder is probed."""
    return lambda wildcards: pattern.format(run=wildcards.run) if is_probed(wildcards.run) else []


def items_of(run):
    """What a run made of each test item: what is compared item by item."""
    if is_tuned(run):
        return f"results/{run}/test/predictions.parquet"
    return f"results/{run}/{'traces' if is_eda(run) else 'probe'}/items.parquet"


def scores_of(run):
    folder = "traces" if is_eda(run) else "test" if is_tuned(run) else "probe"
    return f"results/{run}/{folder}/scores.json"


def STATISTICS(wildcards):
    """Spectra that WaveMAE standardises by."""
    file = shared("results/{run}/statistics.safetensors", "data")
    return file(wildcards) if is_wavemae(wildcards.run) else []


def checked_plan(wildcards):
    """Whether the probes of a run can be run, if it has any."""
    return PLAN(wildcards) if is_probed(wildcards.run) else []


PLAN = shared("results/{run}/probe/plan.json", "data", "probe")


def of_both(pattern):
    """Input function: a file of a run, and that of the run that its `report.compare_with` means."""
    return lambda wildcards: [pattern.format(run=run) for run in (wildcards.run, SETTINGS.compared_with(wildcards.run))]


def option(flag, name):
    """Params function: an option of a script with an input file, where there is one."""
    return lambda wildcards, input: f"{flag} {input[name]}" if input.get(name) else ""


def gpus_of_a_job(wildcards):
    """One, but none on a machine without any, whose cores say how many jobs run at once."""
    has_any = any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/kfd"))
    return 1 if has_any or workflow.non_local_exec else 0


def split_folder(wildcards):
    return str(Path(SPLIT(wildcards)).parent)


def known_before(wildcards):
    """What must exist before files are listed: a generated corpus' audio, a folder's table."""
    name = wildcards.corpus
    corpus = SETTINGS.corpus(name)
    if isinstance(corpus, GENERATED):
        return f"data/{name}/metadata.csv"
    if corpus_url(name, corpus) is not None:
        return []  # objects that are listed when the manifest is made
    if isinstance(corpus, FolderCorpus) and corpus.metadata:
        return str(corpus_root(name, corpus) / corpus.metadata)
    if isinstance(corpus, HomeCorpus) and corpus.recordings:
        table = corpus_root(name, corpus) / corpus.recordings
        return str(table) if table.exists() else []
    if isinstance(corpus, ListenersCorpus):
        tables = [
            corpus_root(name, corpus) / each.folder.strip("/") / "metadata.csv" for each in corpus.datasets.values()
        ]
        return [str(table) for table in tables if table.exists()]
    return []


def tables_of_records(wildcards):
    """What says more of HKU956's records than their files do: links, and how long songs were played."""
    name = wildcards.corpus
    corpus = SETTINGS.corpus(name)
    if not isinstance(corpus, ListenersCorpus) or corpus_url(name, corpus) is not None:
        return []
    folders = [each.folder.strip("/") for each in corpus.datasets.values() if each.layout == "hku956"]
    names = ("2. original_song_audio.csv", "3. AV_ratings.csv")
    tables = [corpus_root(name, corpus) / folder / table for folder in folders for table in names]
    return [str(table) for table in tables if table.exists()]


def annotations_of(wildcards):
    """The table of a corpus' labelled stretches."""
    name = wildcards.corpus
    corpus = SETTINGS.corpus(name)
    if isinstance(corpus, HomeCorpus):
        return str(corpus_root(name, corpus) / corpus.annotations) if corpus.annotations else []
    return f"data/{name}/metadata.csv"  # written last of what is generated


def segments_of(wildcards):
    """Labelled stretches, where one of a run's probes asks for them."""
    run = SETTINGS.run(wildcards.run)
    asks = any(task.items == "segments" for task in run.probe.tasks.values())
    return f"results/corpora/{run.data.corpus}/segments.parquet" if asks else []


def copies_of(wildcards):
    """The record of a corpus' copies, where a run reads those."""
    run = SETTINGS.run(wildcards.run)
    is_cached = isinstance(run, HomeWav2Vec2Run) and run.data.cached
    return f"results/corpora/{run.data.corpus}/copies/{run.data.sample_rate_hz}.json" if is_cached else []


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
    if not isinstance(run, WaveMAERun) or not run.model.weights.aux_crepe or run.pitch.source == "live":
        return []
    key, num_shards = run.pitch.key(run.data.sample_rate_hz, run.spectrogram.hop), run.pitch.num_shards
    folder = f"results/corpora/{run.data.corpus}/features/{key}"
    return [f"{folder}/shard-{shard}-of-{num_shards}.arrow" for shard in range(num_shards)]


def of_listeners(pattern):
    """Input function: a file of the corpora that have listeners; others have none."""
    return lambda wildcards: (
        pattern.format(corpus=wildcards.corpus) if isinstance(SETTINGS.corpus(wildcards.corpus), WithListeners) else []
    )


def mfcc_shards(wildcards):
    """What is taken of the songs that a run hears; none of other experiments."""
    run = SETTINGS.run(wildcards.run)
    if not isinstance(run, Audio2EdaRun):
        return []
    folder, num_shards = f"results/corpora/{run.data.corpus}/features/{run.audio.key}", run.audio.num_shards
    return [f"{folder}/shard-{shard}-of-{num_shards}.arrow" for shard in range(num_shards)]


def traces_of(wildcards):
    """Listeners' traces at the rate that a run predicts; none of other experiments."""
    run = SETTINGS.run(wildcards.run)
    if not isinstance(run, Audio2EdaRun):
        return []
    return f"results/corpora/{run.data.corpus}/features/{run.eda.key(run.audio)}/traces.arrow"


def listeners_of(run):
    """What was found in the traces of a run's corpus; nothing where there are none."""
    names = ("quality.json", "excluded.csv", "missing_audio.csv", "assumptions.json")
    folder = f"results/corpora/{SETTINGS.run(run).data.corpus}/traces"
    return [f"{folder}/{name}" for name in names] if is_eda(run) else []


def made_of_traces(wildcards):
    """Results between the listeners' files and what a run is trained from, whose records its page shows."""
    if not is_eda(wildcards.run):
        return []
    folder = f"results/corpora/{SETTINGS.run(wildcards.run).data.corpus}/traces"
    return [
        *(f"{folder}/index.parquet", f"{folder}/quality.json", *mfcc_shards(wildcards), traces_of(wildcards)),
        shared("results/{run}/baselines/predictions.parquet", "probe")(wildcards),
    ]


def folders_of_traces(wildcards, input):
    """Params function: where the scored traces of a run and those of its corpus lie, for its page."""
    return f"--heard {Path(input.heard).parent} {Path(input.listeners[0]).parent}" if input.heard else ""


def start_of(wildcards):
    """Weights that a run begins with, if it is not with new ones."""
    given = SETTINGS.run(wildcards.run).train.load_from_checkpoint
    return str(expanded(given)) if given else []


def teacher_folder(run):
    """Where the features of a run's teacher lie; None without one, or where the model computes BEST-RQ codes itself."""
    if not isinstance(run, WaveMAERun) or not run.model.weights.aux_w2v or run.teacher.kind == "bestrq":
        return None
    return f"results/corpora/{run.data.corpus}/splits/{run.data.split}/teacher/{run.teacher.key}"


def teacher_shards(wildcards):
    """The features that a run's W2V decoder learns, where they are computed beforehand."""
    run = SETTINGS.run(wildcards.run)
    folder = teacher_folder(run)
    if folder is None or run.teacher.source == "live":
        return []
    num_shards = run.teacher.num_shards
    return [f"{folder}/shard-{shard}-of-{num_shards}.arrow" for shard in range(num_shards)]


def teacher_reduction(wildcards):
    folder = teacher_folder(SETTINGS.run(wildcards.run))
    return f"{folder}/statistics.safetensors" if folder else []


def base_of(wildcards):
    """The checkpoint that a run goes on from."""
    run = SETTINGS.run(wildcards.run)
    if isinstance(run, TuningRun) and run.encoder.pretrained:
        return f"pretrained/{run.encoder.pretrained}/manifest.json"
    return f"pretrained/{run.model.base}/manifest.json" if isinstance(run, HomeWav2Vec2Run) else []


def encoder_of(wildcards):
    """The encoder that a run is tuned from: a manifest, another run's model, or a folder's settings."""
    run = SETTINGS.run(wildcards.run)
    if not isinstance(run, TuningRun):
        return []
    if run.encoder.run:
        return f"results/{run.encoder.run}/model"
    if run.encoder.folder:
        folder = expanded(run.encoder.folder)
        return [str(folder / "config.json"), *map(str, sorted(folder.glob("model*.safetensors")))]
    return f"pretrained/{run.encoder.pretrained}/manifest.json"


def expanded(path):
    """A path of the settings, without variables and ``~``."""
    return Path(os.path.expandvars(path)).expanduser()


def first_of_base(wildcards, input):
    """Params function: the encoder that a run is tuned from, by one of its files or its folder."""
    return input.base if isinstance(input.base, str) else input.base[0]


def checkpoint_of(wildcards):
    """A bare file of weights that takes the place of the encoder's own."""
    run = SETTINGS.run(wildcards.run)
    given = isinstance(run, TuningRun) and run.encoder.checkpoint
    return str(expanded(given)) if given else []


def record_of_network(wildcards):
    """What made the network that a run goes on from, where that is known here."""
    run = SETTINGS.run(wildcards.run)
    if isinstance(run, TuningRun) and run.encoder.run:
        return f"results/{run.encoder.run}/final.ckpt.provenance.json"
    found = pretrained_of_run(wildcards)
    return f"{found}.provenance.json" if str(found).endswith("manifest.json") else []


def members_of_ladder(name):
    """Scored answers of all runs of a ladder, in order."""
    return [items_of(run) for by_seed in SETTINGS.ladder(name).values() for run in by_seed.values()]


def ladder_of(run):
    """What a run's ladder came to, where it has one."""
    return f"results/{run}/ladder.json" if SETTINGS.ladder(run) else []


def ladder_members(wildcards):
    """Params function: case -> title and seeds -> answers, as JSON."""
    run = SETTINGS.run(wildcards.run)
    titles = {case: settings.title or case for case, settings in run.ladder.items()}
    return canonical_json(
        [
            {
                "case": case,
                "title": titles.get(case, ""),
                "files": {str(seed): items_of(member) for seed, member in by_seed.items()},
                "is_control": any(SETTINGS.run(member).data.permute_labels for member in by_seed.values()),
            }
            for case, by_seed in SETTINGS.ladder(wildcards.run).items()
        ]
    )


def pretrained_of_run(wildcards):
    """A network that the training reads: the one that it goes on from, or a teacher that is asked live."""
    run = SETTINGS.run(wildcards.run)
    if isinstance(run, TuningRun):
        return encoder_of(wildcards)
    is_live = teacher_folder(run) and run.teacher.source == "live"
    return f"pretrained/{run.teacher.pretrained}/manifest.json" if is_live else base_of(wildcards)


def pretrained_of_teacher(wildcards):
    return f"pretrained/{TeacherConfig.of_key(wildcards.teacher).pretrained}/manifest.json"


def destination(wildcards):
    """Where .env and the environment send a model: another place is another push. No secret is among it."""
    from dotenv import dotenv_values  # who publishes nothing needs it nowhere near Snakemake

    found = {**dotenv_values(".env"), **os.environ}
    return [found.get(name) or "" for name in ("HF_REPO_ID", "HF_PRIVATE")]


def of_members(pattern):
    """Input function: a file of every run of a sweep, case by case, the seeds in order."""
    return lambda wildcards: [pattern.format(run=run) for run in SETTINGS.members(wildcards.sweep)]


def of_reference(wildcards):
    """Settings of the reference, in which probes and their seed are the same for all."""
    sweep = SETTINGS.sweep(wildcards.sweep)
    run = sweep.run(sweep.reference, sweep.seeds[0])
    return [f"results/{run}/config/{stage}.yaml" for stage in STAGES]
