"""Rule synthesize: make the audio of a generated corpus."""

import argparse
from pathlib import Path

from audiorig.config import DemoCorpus, DemoCriesCorpus, DemoEdaCorpus, DemoRatingsCorpus, HomeDemoCorpus
from audiorig.config_stages import load_corpus
from audiorig.data.corpora import demo, demo_cries, demo_eda, demo_ratings, home_demo
from audiorig.errors import ConfigError
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="settings of the corpus")
    parser.add_argument("--output", type=Path, required=True, help="metadata.csv, written last")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with stage("synthesize", beside=arguments.output):
        corpus, _ = load_corpus(arguments.corpus)
        match corpus:
            case DemoCorpus():
                demo.synthesize(corpus, arguments.output.parent, arguments.workers)
            case HomeDemoCorpus():
                home_demo.synthesize(corpus, arguments.output.parent, arguments.workers)
            case DemoRatingsCorpus():
                demo_ratings.synthesize(corpus, arguments.output.parent, arguments.workers)
            case DemoCriesCorpus():
                demo_cries.synthesize(corpus, arguments.output.parent, arguments.workers)
            case DemoEdaCorpus():
                demo_eda.synthesize(corpus, arguments.output.parent, arguments.workers)
            case _:
                raise ConfigError(f"{arguments.corpus}: a corpus of kind {corpus.kind!r} is not generated")


if __name__ == "__main__":
    main()
