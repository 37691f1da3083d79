"""What the processes of one training agree on: one per device, on one node, started by torchrun.

A process that is alone agrees with itself, and none of this does anything. All that is exchanged
here lies in main memory and goes through gloo, so it never waits for a device; gradients are
DistributedDataParallel's.
"""

import ctypes
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from multiprocessing import connection, forkserver, resource_tracker
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from audiorig.provenance import EXIT_UNFINISHED
from audiorig.train.owner import ownership

PATIENCE = timedelta(minutes=30)  # for another process: the first one alone reads checkpoints and writes results
OWNED = "audiorig/owned"
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP)
PR_SET_PDEATHSIG = 1

Thing = TypeVar("Thing")

log = logging.getLogger(__name__)


def world_size() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Number of this one, from 0."""
    return int(os.environ["RANK"]) if world_size() > 1 else 0


def is_main() -> bool:
    """Whether this is the process that writes."""
    return rank() == 0


# ------------------------------------------------------------------ agreeing


def barrier() -> None:
    """Wait for all. Not ``dist.barrier``, which would wait for the devices too."""
    if world_size() > 1:
        dist.all_reduce(torch.zeros(1))


def total(values: Tensor) -> Tensor:
    """The sum of a CPU tensor over all ranks, bit for bit the same on each."""
    if world_size() > 1:
        dist.all_reduce(values)
    return values


def largest(number: int) -> int:
    """The largest of the ranks' numbers."""
    if world_size() == 1:
        return number
    value = torch.tensor(number)
    dist.all_reduce(value, dist.ReduceOp.MAX)
    return int(value)


def stacked(values: Tensor) -> Tensor:
    """A CPU tensor (...) of each rank, of one shape: (W, ...), in the order of the ranks."""
    if world_size() == 1:
        return values[None]
    found = [torch.empty_like(values) for _ in range(world_size())]
    dist.all_gather(found, values.contiguous())
    return torch.stack(found)


def in_turn(mine: list[Thing]) -> list[Thing]:
    """What the ranks made of the numbers 0, 1, ... that they took in turn, in the order of the numbers."""
    if world_size() == 1:
        return mine
    found: list[list[Thing]] = [[] for _ in range(world_size())]
    dist.all_gather_object(found, mine)
    return [each[number] for number in range(len(found[0])) for each in found if number < len(each)]


def from_main(make: Callable[[], Thing]) -> Thing:
    """What the first rank makes. If it fails, it ends, and the launcher ends the others."""
    if world_size() == 1:
        return make()
    made: list[Any] = [make() if is_main() else None]
    dist.broadcast_object_list(made)
    return made[0]


# --------------------------------------------------------- beginning and end


@contextmanager
def joined(owner_file: Path) -> Iterator[None]:
    """Own a run's folder, all ranks together: the first holds it, and the others wait until it does.

    It may have to wait for hours, which no collective would survive: the others ask the launcher's
    store until then.
    """
    if world_size() == 1:
        with ownership(owner_file):
            yield
        return
    store, number, size = next(dist.rendezvous("env://", timeout=PATIENCE))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    if number == 0:
        with ownership(owner_file):
            store.set(OWNED, "yes")
            dist.init_process_group(backend, store=store, rank=number, world_size=size, timeout=PATIENCE)
            yield
    else:
        while not store.check([OWNED]):
            time.sleep(0.2)
        dist.init_process_group(backend, store=store, rank=number, world_size=size, timeout=PATIENCE)
        yield


def run(main: Callable[[], None]) -> None:
    """Call a script's ``main``, and end as several processes must."""
    if world_size() == 1:
        return main()
    _end_with_launcher()
    if not is_main():  # the first one's account is enough; problems are told by all
        logging.basicConfig(level=logging.WARNING, format=f"rank {rank()}: %(levelname)s %(message)s")
    try:
        main()
    except SystemExit as end:
        leave(end.code if isinstance(end.code, int) else int(end.code is not None))
    except BaseException:
        traceback.print_exc()
        leave(1)
    leave(0)


def leave(code: int) -> NoReturn:
    """End this process at once.

    Without the usual clearing up, in which gloo may hang: one of its threads needs the interpreter
    to free a tensor, while the interpreter waits for that thread. All ranks arrive together after
    a good end or a stop in good order; after an error nobody waits for the others.
    """
    if dist.is_initialized() and code in (0, EXIT_UNFINISHED):
        with suppress(RuntimeError):  # another one is gone already: nothing is left to agree on
            barrier()
            dist.destroy_process_group()
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _end_with_launcher() -> None:
    """If torchrun is killed, its ranks get SIGTERM: in training they save, then they end."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))


# -------------------------------------------------------------------- workers


def worker_options(*parts: Any) -> dict[str, Any]:
    """Arguments of a ``DataLoader`` with workers, when there are several ranks.

    gloo's threads may hold a lock of the interpreter while it forks, and the worker then waits
    for ever; so workers come from a server that has no such threads.

    Args:
        parts: what the workers unpickle; the server imports the modules that it is defined in.
    """
    if world_size() == 1:
        return {}
    context = multiprocessing.get_context("forkserver")
    # Whatever is not imported by the server, each worker imports anew; the script itself is among it.
    modules = {getattr(part, "__module__", "torch") for part in parts}
    context.set_forkserver_preload(sorted({"__main__", "torch", *modules}))
    resource_tracker.ensure_running()  # or the next call would unblock some of the signals
    # torchrun signals the whole process group. The ranks finish their step, and need their workers for it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return {
        "multiprocessing_context": context,
        "worker_init_fn": end_with_rank,
        "timeout": PATIENCE.total_seconds(),
    }


def end_with_rank(worker: int) -> None:
    """Let a worker end when its rank does, however that ends: a server's workers would live on."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_and_exit, args=(parent.sentinel,), daemon=True).start()


def _wait_and_exit(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
