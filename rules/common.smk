# Settings, read and checked once, before any job; and what the rules ask of them. No rules here.
import re
import sys

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "src"))
shell.prefix(f"source '{ROOT}/workflow/prelude.sh'; ")

from audiorig.config import STAGES, DemoCorpus, FolderCorpus
from audiorig.config_files import Settings, canonical_json, check_targets, corpus_root
from audiorig.errors import ConfigError

try:
    SETTINGS = Settings(config, ROOT / "config")
    check_targets(SETTINGS, sys.argv[1:])
except ConfigError as error:
    sys.exit(f"error: {error}")


wildcard_constraints:
    run="|".join(map(re.escape, SETTINGS.run_names)),
    corpus="|".join(map(re.escape, SETTINGS.corpus_names)),
    stage="|".join(STAGES),
    split="[^/]+",
    shard=r"\d+",


def corpus_file(pattern):
    """Input function: a file of the corpus that a run reads; {corpus} and {split} are filled in."""
    return lambda wildcards: pattern.format(
        corpus=SETTINGS.run(wildcards.run).data.corpus,
        split=SETTINGS.run(wildcards.run).data.split,
    )


CORPUS = corpus_file("results/corpora/{corpus}/corpus.yaml")
SPLIT = corpus_file("results/corpora/{corpus}/splits/{split}/split_summary.json")


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
