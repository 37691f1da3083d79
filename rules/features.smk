# What is too dear to compute for every crop: pitch, the features of a pre-trained teacher, coefficients
# of whole songs. The folder's name says what it depends on; a killed job goes on from the parts that it has finished.


rule measure_pitch:
    input:
        corpus="results/corpora/{corpus}/corpus.yaml",
        manifest="results/corpora/{corpus}/manifest.parquet",
    output:
        features="results/corpora/{corpus}/features/{pitch}/shard-{shard}-of-{shards}.arrow",
        provenance="results/corpora/{corpus}/features/{pitch}/shard-{shard}-of-{shards}.arrow.provenance.json",
    log:
        "results/corpora/{corpus}/logs/measure_pitch-{pitch}-{shard}-of-{shards}.log",
    benchmark:
        "results/corpora/{corpus}/benchmarks/measure_pitch-{pitch}-{shard}-of-{shards}.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=720,
    message:
        "Measuring the pitch of corpus {wildcards.corpus}, share {wildcards.shard} of {wildcards.shards}"
    shell:
        "python workflow/scripts/measure_pitch.py --corpus {input.corpus} --manifest {input.manifest}"
        " --pitch {wildcards.pitch} --shard {wildcards.shard} --num-shards {wildcards.shards} --output {output.features}"
        " 2>&1 | log {log}"


rule fit_teacher:
    input:
        corpus="results/corpora/{corpus}/corpus.yaml",
        split="results/corpora/{corpus}/splits/{split}/split_summary.json",
        pretrained=pretrained_of_teacher,
    output:
        statistics="results/corpora/{corpus}/splits/{split}/teacher/{teacher}/statistics.safetensors",
        provenance="results/corpora/{corpus}/splits/{split}/teacher/{teacher}/statistics.safetensors.provenance.json",
    log:
        "results/corpora/{corpus}/logs/fit_teacher-{split}-{teacher}.log",
    benchmark:
        "results/corpora/{corpus}/benchmarks/fit_teacher-{split}-{teacher}.tsv"
    conda:
        "../envs/train.yaml"
    threads: 2
    resources:
        mem_mb=12000,
        runtime=240,
        gpu=gpus_of_a_job,
    params:
        split=lambda wildcards, input: str(Path(input.split).parent),
        folder=lambda wildcards, input: str(Path(input.pretrained).parent),
    message:
        "Fitting the scale of {wildcards.teacher}'s features on split {wildcards.split}"
    shell:
        "python workflow/scripts/fit_teacher.py --corpus {input.corpus} --split {params.split}"
        " --pretrained {params.folder} --teacher {wildcards.teacher} --output {output.statistics} 2>&1 | log {log}"


rule teacher_features:
    input:
        corpus="results/corpora/{corpus}/corpus.yaml",
        manifest="results/corpora/{corpus}/manifest.parquet",
        statistics="results/corpora/{corpus}/splits/{split}/teacher/{teacher}/statistics.safetensors",
        pretrained=pretrained_of_teacher,
    output:
        features="results/corpora/{corpus}/splits/{split}/teacher/{teacher}/shard-{shard}-of-{shards}.arrow",
        provenance="results/corpora/{corpus}/splits/{split}/teacher/{teacher}/shard-{shard}-of-{shards}.arrow.provenance.json",
    log:
        "results/corpora/{corpus}/logs/teacher_features-{split}-{teacher}-{shard}-of-{shards}.log",
    benchmark:
        "results/corpora/{corpus}/benchmarks/teacher_features-{split}-{teacher}-{shard}-of-{shards}.tsv"
    conda:
        "../envs/train.yaml"
    threads: 2
    resources:
        mem_mb=12000,
        runtime=1440,
        gpu=gpus_of_a_job,
    params:
        folder=lambda wildcards, input: str(Path(input.pretrained).parent),
    message:
        "Computing {wildcards.teacher}'s features of {wildcards.corpus}, share {wildcards.shard} of {wildcards.shards}"
    shell:
        "python workflow/scripts/teacher_features.py --corpus {input.corpus} --manifest {input.manifest}"
        " --statistics {input.statistics} --pretrained {params.folder} --teacher {wildcards.teacher}"
        " --shard {wildcards.shard} --num-shards {wildcards.shards} --output {output.features} 2>&1 | log {log}"


rule mfcc:
    input:
        corpus="results/corpora/{corpus}/corpus.yaml",
        manifest="results/corpora/{corpus}/manifest.parquet",
    output:
        features="results/corpora/{corpus}/features/{mfcc}/shard-{shard}-of-{shards}.arrow",
        provenance="results/corpora/{corpus}/features/{mfcc}/shard-{shard}-of-{shards}.arrow.provenance.json",
    log:
        "results/corpora/{corpus}/logs/mfcc-{mfcc}-{shard}-of-{shards}.log",
    benchmark:
        "results/corpora/{corpus}/benchmarks/mfcc-{mfcc}-{shard}-of-{shards}.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    message:
        "Computing the coefficients of corpus {wildcards.corpus}'s songs, share {wildcards.shard} of {wildcards.shards}"
    shell:
        "python workflow/scripts/mfcc.py --corpus {input.corpus} --manifest {input.manifest}"
        " --mfcc {wildcards.mfcc} --shard {wildcards.shard} --num-shards {wildcards.shards} --output {output.features}"
        " 2>&1 | log {log}"


rule eda_signals:
    input:
        index="results/corpora/{corpus}/traces/index.parquet",
        raw="results/corpora/{corpus}/traces/raw.arrow",
    output:
        features="results/corpora/{corpus}/features/{eda}/traces.arrow",
        provenance="results/corpora/{corpus}/features/{eda}/traces.arrow.provenance.json",
    log:
        "results/corpora/{corpus}/logs/eda_signals-{eda}.log",
    benchmark:
        "results/corpora/{corpus}/benchmarks/eda_signals-{eda}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        folder=lambda wildcards, input: str(Path(input.index).parent),
    message:
        "Filtering the traces of corpus {wildcards.corpus}"
    shell:
        "python workflow/scripts/eda_signals.py --traces {params.folder} --eda {wildcards.eda} --output {output.features}"
        " 2>&1 | log {log}"
