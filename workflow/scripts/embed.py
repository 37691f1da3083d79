"""Features of any audio, from any trained run: a parquet with a row per file, or per frame.

    python workflow/scripts/embed.py --model results/wavemae --audio ~/recordings --output features.parquet

Read it with pandas.read_parquet("features.parquet"); numpy.stack(table["embedding"]) is a matrix.
"""

import argparse
import logging
from pathlib import Path

import torch

from audiorig.evaluate.extract import Wanted, extract, find_clips
from audiorig.models.trained import load_any
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", type=Path, required=True, help="results/RUN, results/RUN/model or results/RUN/final.ckpt"
    )
    parser.add_argument("--audio", type=Path, required=True, help="a folder, a file, or a manifest or split (.parquet)")
    parser.add_argument("--root", type=Path, help="folder of the audio, where --audio is a parquet")
    parser.add_argument("--output", type=Path, required=True, help="written: the features (.parquet)")
    parser.add_argument("--level", choices=["clip", "frame"], default="clip", help="a row per file, or per frame")
    parser.add_argument(
        "--layer", default="final", help="final, all (the blocks side by side), or block-1, block-2, ..."
    )
    parser.add_argument("--pool", choices=["mean", "mean+std"], default="mean", help="frames to a clip's vector")
    parser.add_argument(
        "--batch-size", type=int, default=16, help="files that are encoded at once; changes nothing else"
    )
    parser.add_argument(
        "--window-sec", type=float, default=60.0, help="longer files are encoded in overlapping windows"
    )
    parser.add_argument("--threads", type=int, default=2, help="threads that encode, and as many that read")
    arguments = parser.parse_args()
    with stage("embed", beside=arguments.output) as record:
        torch.set_num_threads(arguments.threads)
        model = load_any(arguments.model)
        clips, root = find_clips(arguments.audio, arguments.root, arguments.threads)
        wanted = Wanted(
            arguments.level, arguments.layer, arguments.pool, max(1, arguments.batch_size), arguments.window_sec
        )
        done = extract(model, clips, root, arguments.output, wanted)
        record |= {"files": done.num_files, "rows": done.num_rows, "failed_files": len(done.failures)}
        logging.info(
            "%s: %d rows of %d numbers from %d files", arguments.output, done.num_rows, done.width, done.num_files
        )


if __name__ == "__main__":
    main()
