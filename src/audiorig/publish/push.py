"""A planned upload brought to the Hub: one commit, private unless said otherwise, the same however often it is tried.

What the Hub holds already is compared by digest first, so that a second try after a cut
connection sends what is missing, and one after a lost answer sends nothing.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import disable_progress_bars

from audiorig.errors import ConfigError, DataError
from audiorig.files import file_digest
from audiorig.publish.destination import Destination
from audiorig.publish.plan import INDEX, SHARD, WEIGHTS, UploadPlan

Answer = TypeVar("Answer")
# What huggingface_hub raises on a broken connection (some wrapped), or on an answer that makes no sense.
FAILURES = (HTTPError, OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError)
AGAIN = "run it again: what has arrived is not sent twice"

log = logging.getLogger(__name__)


def push(plan: UploadPlan, to: Destination, message: str, endpoint: str | None = None) -> dict[str, Any]:
    """Make the Hub hold exactly the planned files, in one commit; nothing is sent that is there already.

    Args:
        message: first line of the commit.
        endpoint: address of the Hub, if not the usual one (or HF_ENDPOINT).

    Returns:
        ``repo_id``, ``private``, ``commit``, ``files`` (path, size, sha256) and those ``sent`` this time.

    Raises:
        DataError: if the Hub refuses or cannot be reached, if the repository is public although it was to be private,
            or files changed since they were planned.
    """
    for file in plan.files:
        if file_digest(file.source) != file.sha256:
            raise DataError(f"{file.source}: changed since it was planned: run it again")
    disable_progress_bars()  # thousands of lines in a log file
    api = HfApi(endpoint=endpoint, token=to.token.get_secret_value())
    _ask(to, lambda: api.create_repo(to.repo_id, private=to.private, exist_ok=True))
    there = _state(api, to)
    if to.private and not there.private:
        raise DataError(
            f"{to.repo_id} is there already, and everybody can see it: make it private in its settings, name another "
            "with HF_REPO_ID, or set HF_PRIVATE=false"
        )
    stale = [name for name in there.digests if _is_weights(name) and name not in {file.path for file in plan.files}]
    if stale:
        raise DataError(
            f"{to.repo_id} holds {stale[0]}, which this model has not, and which would be loaded in its stead: delete "
            "it there, or name another repository with HF_REPO_ID"
        )
    differing = [file for file in plan.files if not there.holds(file.path, file.source, file.sha256)]
    commit = there.commit
    if differing:
        log.info("%s: sending %s", to.repo_id, ", ".join(file.path for file in differing))
        additions = [CommitOperationAdd(file.path, str(file.source)) for file in differing]
        made = _ask(
            to, lambda: api.create_commit(to.repo_id, additions, commit_message=message, parent_commit=there.commit)
        )
        commit = str(made.oid)
        _confirm(api, to, plan, commit)
    else:
        log.info("%s holds all of it already: nothing was sent", to.repo_id)
    return {
        "repo_id": to.repo_id,
        "private": there.private,
        "commit": commit,
        "files": [file.stated() for file in plan.files],
        "sent": [file.path for file in differing],
    }


@dataclass(frozen=True)
class _There:
    """What the Hub holds: digests by path, SHA-256 of large files and Git's ids of all others."""

    commit: str
    private: bool
    digests: dict[str, str]

    def holds(self, path: str, source: Path, sha256: str) -> bool:
        found = self.digests.get(path, "")
        if len(found) == len(sha256):
            return found == sha256
        content = source.read_bytes() if found else b""  # the Hub keeps only small files in Git itself
        return found == hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _state(api: HfApi, to: Destination, commit: str | None = None) -> _There:
    def read() -> _There:
        info = api.model_info(to.repo_id, revision=commit, files_metadata=True)
        digests = {each.rfilename: each.lfs.sha256 if each.lfs else each.blob_id for each in info.siblings or []}
        return _There(str(info.sha), info.private is True, {name: str(digest) for name, digest in digests.items()})

    return _ask(to, read)


def _confirm(api: HfApi, to: Destination, plan: UploadPlan, commit: str) -> None:
    """Ask whether everything arrived: a .gitignore there, say, lets files fall out without an error."""
    there = _state(api, to, commit)
    for file in plan.files:
        if not there.holds(file.path, file.source, file.sha256):
            raise DataError(
                f"{to.repo_id}: {file.path} is not at commit {commit} as it was sent: look for a .gitignore there"
            )


def _is_weights(name: str) -> bool:
    return name in (WEIGHTS, INDEX) or SHARD.fullmatch(name) is not None


def _ask(to: Destination, request: Callable[[], Answer]) -> Answer:
    """Ask the Hub; whatever it refuses or breaks becomes one sentence, without any of its words.

    Messages of the Hub and of the network hold addresses, some of them signed.
    """
    try:
        return request()
    except FAILURES as error:
        log.debug("the Hub's side of it", exc_info=True)
        raise _sentence(to, error) from None


def _sentence(to: Destination, error: BaseException) -> Exception:
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    match status:
        case 401:
            return ConfigError(
                f"the Hub does not accept the token ({to.token_from}): it is wrong or has run out; make a new one that "
                "may write at huggingface.co/settings/tokens and put it there"
            )
        case 403:
            return ConfigError(
                f"{to.repo_id}: the token ({to.token_from}) may not write there: give it the permission at "
                "huggingface.co/settings/tokens, or name another repository with HF_REPO_ID"
            )
        case 404:
            return ConfigError(f"{to.repo_id}: the Hub has no such place: correct HF_REPO_ID")
        case 409 | 412:
            return DataError(f"{to.repo_id}: somebody else changed it at the same time: {AGAIN}")
        case 400:
            return DataError(f"{to.repo_id}: the Hub finds fault with the upload, perhaps with the card: see with -v")
        case int():
            return DataError(f"{to.repo_id}: the Hub answers with status {status}: later, {AGAIN}")
    if isinstance(error, OfflineModeIsEnabled):
        return ConfigError("HF_HUB_OFFLINE is set: unset it to push")
    kinds = [type(each).__name__ for each in (error, error.__cause__) if each is not None]
    if isinstance(error, (HTTPError, OSError, RuntimeError)):
        return DataError(f"{to.repo_id}: the connection to the Hub broke ({', '.join(kinds)}): {AGAIN}")
    return DataError(f"{to.repo_id}: the Hub's answer makes no sense ({', '.join(kinds)}): see with -v, and {AGAIN}")
