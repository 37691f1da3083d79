# From a checkpoint to scores. Evaluation sees the model, the split and the audio, nothing of training.


rule plan_probe:
    input:
        config="results/{run}/config/probe.yaml",
        split=SPLIT,
        segments=segments_of,
    output:
        plan="results/{run}/probe/plan.json",
    log:
        "results/{run}/logs/plan_probe.log",
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=15,
    params:
        split=split_folder,
        segments=option("--segments", "segments"),
    message:
        "Looking whether {wildcards.run}'s probes can be run on its split"
    shell:
        "python workflow/scripts/plan_probe.py --config {input.config} --split {params.split} {params.segments}"
        " --output {output.plan} 2>&1 | log {log}"


rule probe:
    input:
        config="results/{run}/config/probe.yaml",
        corpus=ancient(CORPUS),
        split=SPLIT,
        segments=segments_of,
        model="results/{run}/model",
        before=base_of,
        # The pre-training task itself is asked too, where its crops can be drawn again.
        train_config=lambda wildcards: (
            [] if is_wavemae(wildcards.run) else f"results/{wildcards.run}/config/train.yaml"
        ),
    output:
        scores="results/{run}/probe/scores.json",
        hits="results/{run}/probe/items.parquet",
        provenance="results/{run}/probe/scores.json.provenance.json",
    log:
        "results/{run}/logs/probe.log",
    benchmark:
        "results/{run}/benchmarks/probe.tsv"
    conda:
        "../envs/evaluate.yaml"
    threads: lambda wildcards: min(2, SETTINGS.run(wildcards.run).train.cpu_threads)
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        split=split_folder,
        segments=option("--segments", "segments"),
        before=lambda wildcards, input: f"--before {Path(input.before).parent}" if input.before else "",
        train_config=option("--train-config", "train_config"),
    message:
        "Probing the frozen encoder of {wildcards.run}, beside its controls"
    shell:
        "python workflow/scripts/probe.py --config {input.config} --corpus {input.corpus} --split {params.split}"
        " {params.segments} --model {input.model} {params.before} {params.train_config} --output {output.scores} 2>&1 | log {log}"


rule reconstruct:
    input:
        config="results/{run}/config/probe.yaml",
        data_config="results/{run}/config/data.yaml",
        features_config="results/{run}/config/features.yaml",
        pitch=pitch_shards,
        corpus=ancient(CORPUS),
        split=SPLIT,
        model="results/{run}/model",
    output:
        scores="results/{run}/reconstruction/scores.json",
        examples="results/{run}/reconstruction/examples.npz",
        errors="results/{run}/reconstruction/items.parquet",
        provenance="results/{run}/reconstruction/scores.json.provenance.json",
    log:
        "results/{run}/logs/reconstruct.log",
    benchmark:
        "results/{run}/benchmarks/reconstruct.tsv"
    conda:
        "../envs/evaluate.yaml"
    threads: lambda wildcards: min(2, SETTINGS.run(wildcards.run).train.cpu_threads)
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        split=split_folder,
    message:
        "Rebuilding hidden frames of {wildcards.run}'s test clips"
    shell:
        "python workflow/scripts/reconstruct.py --config {input.config} --data-config {input.data_config}"
        " --features-config {input.features_config} --pitch {input.pitch} --corpus {input.corpus}"
        " --split {params.split} --model {input.model} --output {output.scores} --examples {output.examples}"
        " --items {output.errors} 2>&1 | log {log}"


# What answers by itself is scored by its answers, beside answers that need no encoder.
rule score:
    input:
        config="results/{run}/config/probe.yaml",
        train_config="results/{run}/config/train.yaml",
        corpus=ancient(CORPUS),
        split=SPLIT,
        model="results/{run}/model",
        base=encoder_of,
        checkpoint=checkpoint_of,
    output:
        scores="results/{run}/test/scores.json",
        predictions="results/{run}/test/predictions.parquet",
        examples="results/{run}/test/examples.npz",
        provenance="results/{run}/test/scores.json.provenance.json",
    log:
        "results/{run}/logs/score.log",
    benchmark:
        "results/{run}/benchmarks/score.tsv"
    conda:
        "../envs/evaluate.yaml"
    threads: lambda wildcards: min(2, SETTINGS.run(wildcards.run).train.cpu_threads)
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        split=split_folder,
        base=first_of_base,
        checkpoint=option("--checkpoint", "checkpoint"),
    message:
        "Scoring the answers of {wildcards.run} on dev and test"
    shell:
        "python workflow/scripts/score.py --config {input.config} --train-config {input.train_config}"
        " --corpus {input.corpus} --split {params.split} --model {input.model} --base {params.base:q} {params.checkpoint}"
        " --output {output.scores} --predictions {output.predictions} --examples {output.examples} 2>&1 | log {log}"


rule ladder:
    input:
        config="results/{run}/config/probe.yaml",
        predictions=lambda wildcards: members_of_ladder(wildcards.run),
    output:
        "results/{run}/ladder.json",
    log:
        "results/{run}/logs/ladder.log",
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        members=ladder_members,
    message:
        "Joining the ladder of {wildcards.run}"
    shell:
        "python workflow/scripts/ladder.py --config {input.config} --members {params.members:q} --output {output}"
        " 2>&1 | log {log}"


# A small folder that answers: the encoder by name and digest, all that was learnt, labels and thresholds.
rule bundle:
    input:
        train_config="results/{run}/config/train.yaml",
        split=SPLIT,
        model="results/{run}/model",
        base=encoder_of,
        checkpoint=checkpoint_of,
        scores="results/{run}/test/scores.json",
        training="results/{run}/final.ckpt.provenance.json",
    output:
        bundle=directory("results/{run}/bundle"),
        provenance="results/{run}/bundle.provenance.json",
    log:
        "results/{run}/logs/bundle.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=15,
    params:
        split=split_folder,
        base=first_of_base,
        checkpoint=option("--checkpoint", "checkpoint"),
    message:
        "Packing what {wildcards.run} has learnt"
    shell:
        "python workflow/scripts/bundle.py --train-config {input.train_config} --split {params.split}"
        " --model {input.model} --base {params.base:q} {params.checkpoint} --scores {input.scores}"
        " --training {input.training} --output {output.bundle} 2>&1 | log {log}"


# What says how much of a trace needs no network: a curve of the time since onset, regressions, other listeners.
rule baselines:
    input:
        config="results/{run}/config/probe.yaml",
        split=SPLIT,
        mfcc=mfcc_shards,
        traces=traces_of,
    output:
        predictions="results/{run}/baselines/predictions.parquet",
        provenance="results/{run}/baselines/predictions.parquet.provenance.json",
    log:
        "results/{run}/logs/baselines.log",
    benchmark:
        "results/{run}/benchmarks/baselines.tsv"
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        split=split_folder,
    message:
        "Fitting what {wildcards.run} has to beat"
    shell:
        "python workflow/scripts/baselines.py --config {input.config} --split {params.split} --mfcc {input.mfcc}"
        " --traces {input.traces} --output {output.predictions} 2>&1 | log {log}"


rule score_traces:
    input:
        config="results/{run}/config/probe.yaml",
        split=SPLIT,
        mfcc=mfcc_shards,
        traces=traces_of,
        model="results/{run}/model",
        baselines=shared("results/{run}/baselines/predictions.parquet", "probe"),
    output:
        scores="results/{run}/traces/scores.json",
        each="results/{run}/traces/items.parquet",
        predictions="results/{run}/traces/predictions.parquet",
        nulls="results/{run}/traces/nulls.json",
        provenance="results/{run}/traces/scores.json.provenance.json",
    log:
        "results/{run}/logs/score_traces.log",
    benchmark:
        "results/{run}/benchmarks/score_traces.tsv"
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        split=split_folder,
    message:
        "Scoring the traces that {wildcards.run} predicts, beside baselines and nulls"
    shell:
        "python workflow/scripts/score_traces.py --config {input.config} --split {params.split} --mfcc {input.mfcc}"
        " --traces {input.traces} --model {input.model} --baselines {input.baselines} --output {output.scores}"
        " --items {output.each} --predictions {output.predictions} --nulls {output.nulls} 2>&1 | log {log}"


rule metrics:
    input:
        scores=lambda wildcards: scores_of(wildcards.run),
        reconstruction=of_wavemae("results/{run}/reconstruction/scores.json"),
        training="results/{run}/final.ckpt.provenance.json",
    output:
        "results/{run}/metrics.json",
    log:
        "results/{run}/logs/metrics.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    message:
        "Collecting the scores of {wildcards.run}"
    shell:
        "python workflow/scripts/metrics.py --scores {input.scores} {input.reconstruction} --training {input.training} --output {output}"
        " 2>&1 | log {log}"
