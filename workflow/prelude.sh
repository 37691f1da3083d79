# Read by the shell of every job, before its command (rules/common.smk).

# This takes the place of Snakemake's own prelude: without pipefail, a log's tee would hide a failure.
set -euo pipefail

export PYTHONPATH="$(cd "$(dirname "${BASH_SOURCE[0]}")/../src" && pwd)${PYTHONPATH:+:$PYTHONPATH}"

# Threads that wait for each other spin briefly, then sleep: by default they spin so long that any
# other process on the machine makes training ten times slower.
export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-2000}"

# Ctrl-C and SLURM signal every process of a job. The script saves before it leaves; the shell and
# what writes the log must outlive it, or its next message breaks the pipe before it has saved.
trap : INT TERM HUP USR1

# ... | log FILE: show what comes, and keep it in a file.
log() {
    trap '' INT TERM HUP USR1
    exec tee "$1"
}
