"""Rule cache_audio: one mono copy of each recording, at the rate of a training, in the corpus' cache_root."""

import argparse
from pathlib import Path

from audiorig.config_stages import cache_folder, load_corpus
from audiorig.data.manifest import read_table
from audiorig.data.recording_cache import cache_recordings
from audiorig.data.validate import excluded_paths
from audiorig.files import write_json
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="settings of the corpus")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--invalid", type=Path, required=True, help="problems found by validation")
    parser.add_argument("--rate", type=int, required=True, help="samples per second of the copies")
    parser.add_argument("--output", type=Path, required=True, help="written: where the copies lie")
    parser.add_argument("--workers", type=int, default=2, help="processes that read files")
    arguments = parser.parse_args()
    with stage("cache_audio", beside=arguments.output) as record:
        corpus, root = load_corpus(arguments.corpus)
        folder = cache_folder(arguments.corpus.parent.name, corpus, arguments.rate)
        manifest = read_table(arguments.manifest)
        unreadable = excluded_paths(read_table(arguments.invalid), chosen=())
        readable = manifest[~manifest["wav_path"].isin(unreadable)]
        index = cache_recordings(readable, root, folder, arguments.rate, arguments.workers)
        record["num_new"] = int(index["is_new"].sum())
        copies = {
            "folder": str(folder),
            "rate_hz": arguments.rate,
            "num_copies": int((index["problem"] == "").sum()),
            "num_failed": int((index["problem"] != "").sum()),
            "hours": round(float(index["duration_sec"].sum()) / 3600, 4),
        }
        write_json(arguments.output, copies)


if __name__ == "__main__":
    main()
