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


rule metrics:
    input:
        probe="results/{run}/probe/scores.json",
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
        "python workflow/scripts/metrics.py --scores {input.probe} {input.reconstruction} --training {input.training} --output {output}"
        " 2>&1 | log {log}"
