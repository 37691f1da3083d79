# From a folder of audio to a manifest, a validation report and splits. The audio is only read.


rule synthesize:
    input:
        corpus="results/corpora/{corpus}/corpus.yaml",
    output:
        metadata="data/{corpus}/metadata.csv",
        provenance="data/{corpus}/metadata.csv.provenance.json",
    log:
        "results/corpora/{corpus}/logs/synthesize.log",
    benchmark:
        "results/corpora/{corpus}/benchmarks/synthesize.tsv"
    conda:
        "../envs/data.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime=30,
    message:
        "Generating the audio of corpus {wildcards.corpus}"
    shell:
        "python workflow/scripts/synthesize.py --corpus {input.corpus} --output {output.metadata}"
        " --workers {threads} 2>&1 | log {log}"


# Two rules for corpora of millions of files, with the setting manifest.num_shards: one walk, then
# as many jobs as there are shards. Folders scan_cache are no outputs: Snakemake deletes outputs
# before a rule runs, and what is in there saves the next scan from opening what has not changed.
rule list_files:
    input:
        corpus="results/corpora/{corpus}/corpus.yaml",
        known=known_before,
    output:
        "results/corpora/{corpus}/scan/files.parquet",
    log:
        "results/corpora/{corpus}/logs/list_files.log",
    benchmark:
        "results/corpora/{corpus}/benchmarks/list_files.tsv"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=120,
    message:
        "Listing the files of corpus {wildcards.corpus}"
    shell:
        "python workflow/scripts/list_files.py --corpus {input.corpus} --output {output} 2>&1 | log {log}"


rule scan_shard:
    input:
        corpus="results/corpora/{corpus}/corpus.yaml",
        files="results/corpora/{corpus}/scan/files.parquet",
    output:
        "results/corpora/{corpus}/scan/shard-{shard}.arrow",
    log:
        "results/corpora/{corpus}/logs/scan_shard-{shard}.log",
    benchmark:
        "results/corpora/{corpus}/benchmarks/scan_shard-{shard}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        num_shards=lambda wildcards: SETTINGS.corpus(wildcards.corpus).manifest.num_shards,
        memory="results/corpora/{corpus}/scan_cache/shard-{shard}.arrow",
    message:
        "Reading headers of corpus {wildcards.corpus}, share {wildcards.shard} of {params.num_shards}"
    shell:
        "python workflow/scripts/scan_shard.py --corpus {input.corpus} --files {input.files} --shard {wildcards.shard}"
        " --num-shards {params.num_shards} --memory {params.memory} --output {output} --threads {threads}"
        " 2>&1 | log {log}"


rule manifest:
    input:
        corpus="results/corpora/{corpus}/corpus.yaml",
        known=known_before,
        scans=scans_of,
    output:
        manifest="results/corpora/{corpus}/manifest.parquet",
        provenance="results/corpora/{corpus}/manifest.parquet.provenance.json",
    log:
        "results/corpora/{corpus}/logs/manifest.log",
    benchmark:
        "results/corpora/{corpus}/benchmarks/manifest.tsv"
    conda:
        "../envs/data.yaml"
    threads: 2
    resources:
        mem_mb=memory_for,
        runtime=60,
    params:
        memory="results/corpora/{corpus}/scan_cache/all.arrow",
    message:
        "Making the manifest of corpus {wildcards.corpus}"
    shell:
        "python workflow/scripts/manifest.py --corpus {input.corpus} --scans {input.scans}"
        " --memory {params.memory} --output {output.manifest} --threads {threads} 2>&1 | log {log}"


rule validate:
    input:
        corpus="results/corpora/{corpus}/corpus.yaml",
        manifest="results/corpora/{corpus}/manifest.parquet",
    output:
        invalid="results/corpora/{corpus}/validation/invalid_files.parquet",
        stats="results/corpora/{corpus}/validation/audio_stats.parquet",
        summary="results/corpora/{corpus}/validation/summary.json",
        provenance="results/corpora/{corpus}/validation/summary.json.provenance.json",
    log:
        "results/corpora/{corpus}/logs/validate.log",
    benchmark:
        "results/corpora/{corpus}/benchmarks/validate.tsv"
    conda:
        "../envs/data.yaml"
    threads: 2
    resources:
        mem_mb=memory_for,
        runtime=lambda wildcards: 90 + 30 * SETTINGS.corpus(wildcards.corpus).manifest.num_shards,
    params:
        bounds=lambda wildcards: SETTINGS.corpus(wildcards.corpus).validation.model_dump_json(),
    message:
        "Reading every file of corpus {wildcards.corpus} once"
    shell:
        "python workflow/scripts/validate.py --corpus {input.corpus} --manifest {input.manifest}"
        " --bounds {params.bounds:q} --invalid {output.invalid} --stats {output.stats}"
        " --summary {output.summary} --workers {threads} 2>&1 | log {log}"


# Of corpora with listeners: which trace belongs to which song, and which of them can be learnt from.
rule traces:
    input:
        corpus="results/corpora/{corpus}/corpus.yaml",
        manifest="results/corpora/{corpus}/manifest.parquet",
        tables=tables_of_records,
    output:
        index="results/corpora/{corpus}/traces/index.parquet",
        raw="results/corpora/{corpus}/traces/raw.arrow",
        missing="results/corpora/{corpus}/traces/missing_audio.csv",
        assumptions="results/corpora/{corpus}/traces/assumptions.json",
        provenance="results/corpora/{corpus}/traces/index.parquet.provenance.json",
    log:
        "results/corpora/{corpus}/logs/traces.log",
    benchmark:
        "results/corpora/{corpus}/benchmarks/traces.tsv"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        folder=lambda wildcards, output: str(Path(output.index).parent),
    message:
        "Reading the listeners' traces of corpus {wildcards.corpus}"
    shell:
        "python workflow/scripts/traces.py --corpus {input.corpus} --manifest {input.manifest}"
        " --folder {params.folder} 2>&1 | log {log}"


rule quality:
    input:
        corpus="results/corpora/{corpus}/corpus.yaml",
        index="results/corpora/{corpus}/traces/index.parquet",
        raw="results/corpora/{corpus}/traces/raw.arrow",
        invalid="results/corpora/{corpus}/validation/invalid_files.parquet",
    output:
        quality="results/corpora/{corpus}/traces/quality.parquet",
        excluded="results/corpora/{corpus}/traces/excluded.csv",
        summary="results/corpora/{corpus}/traces/quality.json",
        provenance="results/corpora/{corpus}/traces/quality.json.provenance.json",
    log:
        "results/corpora/{corpus}/logs/quality.log",
    benchmark:
        "results/corpora/{corpus}/benchmarks/quality.tsv"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        folder=lambda wildcards, output: str(Path(output.quality).parent),
        checks=lambda wildcards: SETTINGS.corpus(wildcards.corpus).checks.model_dump_json(),
    message:
        "Looking at every trace of corpus {wildcards.corpus}"
    shell:
        "python workflow/scripts/quality.py --corpus {input.corpus} --checks {params.checks:q} --traces {params.folder}"
        " --invalid {input.invalid} --folder {params.folder} 2>&1 | log {log}"


rule split:
    input:
        manifest="results/corpora/{corpus}/manifest.parquet",
        invalid="results/corpora/{corpus}/validation/invalid_files.parquet",
        index=of_listeners("results/corpora/{corpus}/traces/index.parquet"),
        quality=of_listeners("results/corpora/{corpus}/traces/quality.parquet"),
    output:
        sides=expand(
            "results/corpora/{{corpus}}/splits/{{split}}/{side}.{kind}",
            side=["train", "dev", "test"],
            kind=["parquet", "arrow"],
        ),
        summary="results/corpora/{corpus}/splits/{split}/split_summary.json",
        provenance="results/corpora/{corpus}/splits/{split}/split_summary.json.provenance.json",
    log:
        "results/corpora/{corpus}/logs/split-{split}.log",
    benchmark:
        "results/corpora/{corpus}/benchmarks/split-{split}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=memory_for,
        runtime=15,
    params:
        folder=lambda wildcards, output: str(Path(output.summary).parent),
        settings=lambda wildcards: SETTINGS.split(wildcards.corpus, wildcards.split).model_dump_json(),
        index=option("--index", "index"),
        quality=option("--quality", "quality"),
    message:
        "Dividing corpus {wildcards.corpus} as {wildcards.split}"
    shell:
        "python workflow/scripts/split.py --manifest {input.manifest} --invalid {input.invalid} {params.index} {params.quality}"
        " --settings {params.settings:q} --folder {params.folder} 2>&1 | log {log}"


rule segments:
    input:
        corpus="results/corpora/{corpus}/corpus.yaml",
        manifest="results/corpora/{corpus}/manifest.parquet",
        annotations=annotations_of,
    output:
        segments="results/corpora/{corpus}/segments.parquet",
        provenance="results/corpora/{corpus}/segments.parquet.provenance.json",
    log:
        "results/corpora/{corpus}/logs/segments.log",
    benchmark:
        "results/corpora/{corpus}/benchmarks/segments.tsv"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    message:
        "Collecting the labelled stretches of corpus {wildcards.corpus}"
    shell:
        "python workflow/scripts/segments.py --corpus {input.corpus} --manifest {input.manifest}"
        " --output {output.segments} 2>&1 | log {log}"


# The copies lie in the corpus' cache_root and are no outputs: what is there is not made again.
rule cache_audio:
    input:
        corpus="results/corpora/{corpus}/corpus.yaml",
        manifest="results/corpora/{corpus}/manifest.parquet",
        invalid="results/corpora/{corpus}/validation/invalid_files.parquet",
    output:
        copies="results/corpora/{corpus}/copies/{rate}.json",
        provenance="results/corpora/{corpus}/copies/{rate}.json.provenance.json",
    log:
        "results/corpora/{corpus}/logs/cache_audio-{rate}.log",
    benchmark:
        "results/corpora/{corpus}/benchmarks/cache_audio-{rate}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=720,
    message:
        "Copying the recordings of corpus {wildcards.corpus} at {wildcards.rate} Hz, one channel"
    shell:
        "python workflow/scripts/cache_audio.py --corpus {input.corpus} --manifest {input.manifest}"
        " --invalid {input.invalid} --rate {wildcards.rate} --output {output.copies} --workers {threads}"
        " 2>&1 | log {log}"
