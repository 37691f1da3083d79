# From a split to a checkpoint. Training state lies in results/{run}/checkpoints, which no rule
# declares: Snakemake deletes the outputs of a job that was killed, and they are what it resumes from.


rule spectrum_statistics:
    input:
        config="results/{run}/config/data.yaml",
        corpus=ancient(CORPUS),
        split=SPLIT,
    output:
        statistics="results/{run}/statistics.safetensors",
        provenance="results/{run}/statistics.safetensors.provenance.json",
    log:
        "results/{run}/logs/spectrum_statistics.log",
    benchmark:
        "results/{run}/benchmarks/spectrum_statistics.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        split=split_folder,
    message:
        "Measuring the spectra of {wildcards.run}'s training side"
    shell:
        "python workflow/scripts/spectrum_statistics.py --config {input.config} --corpus {input.corpus}"
        " --split {params.split} --output {output.statistics} 2>&1 | log {log}"


rule train:
    input:
        config="results/{run}/config/train.yaml",
        corpus=ancient(CORPUS),
        split=SPLIT,
        statistics=STATISTICS,
        pitch=pitch_shards,
        teacher=teacher_shards,
        reduction=teacher_reduction,
        pretrained=pretrained_of_run,
        checkpoint=checkpoint_of,
        copies=copies_of,
        mfcc=mfcc_shards,
        traces=traces_of,
        start=start_of,
        # Not used, and its changes train nothing again: a misspelt label must not be found out after days.
        plan=ancient(checked_plan),
    output:
        final="results/{run}/final.ckpt",
        model=directory("results/{run}/model"),
        history="results/{run}/history.json",
        provenance="results/{run}/final.ckpt.provenance.json",
    log:
        "results/{run}/logs/train.log",
    benchmark:
        "results/{run}/benchmarks/train.tsv"
    conda:
        "../envs/train.yaml"
    threads: lambda wildcards: SETTINGS.run(wildcards.run).train.cpu_threads
    resources:
        mem_mb=8000,
        runtime=60,
        gpu=gpus_of_a_job,
        launch="",  # what stands before `python`: a profile's srun or torchrun
    params:
        folder=lambda wildcards, output: str(Path(output.final).parent),
        split=split_folder,
    message:
        "Training {wildcards.run}"
    shell:
        "{resources.launch} python workflow/scripts/train.py --config {input.config} --corpus {input.corpus}"
        " --split {params.split} --statistics {input.statistics} --pitch {input.pitch} --teacher {input.teacher}"
        " --reduction {input.reduction} --pretrained {input.pretrained:q} --checkpoint {input.checkpoint:q}"
        " --copies {input.copies} --mfcc {input.mfcc} --traces {input.traces} --start {input.start:q}"
        " --folder {params.folder} 2>&1 | log {log}"
