"""Everything up to the first request: the card, the list of files, the repository. No network, no token."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiorig.config_stages import run_name
from audiorig.errors import ConfigError, DataError
from audiorig.files import read_json, write_text
from audiorig.publish.destination import Destination
from audiorig.publish.model_card import hub_card, read_card_inputs
from audiorig.publish.plan import UploadPlan, plan_upload, table
from audiorig.publish.secrets import Environment

UNNAMED = "your-name/your-model"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """What would go, and where to; ``repo_id`` is None as long as nobody named one."""

    name: str
    plan: UploadPlan
    repo_id: str | None
    private: bool

    def stated(self) -> dict[str, Any]:
        """What ``plan.json`` holds."""
        files = [file.stated() for file in self.plan.files]
        return {"repo_id": self.repo_id, "private": self.private, "files": files, "stay": list(self.plan.stays)}

    def described(self) -> str:
        """The same for a person."""
        seen = "private: only its owner sees it" if self.private else "PUBLIC: everybody sees it"
        return f"To {self.repo_id or 'a repository that HF_REPO_ID will name'} ({seen}):\n{table(self.plan)}"

    def destination(self, environment: Environment) -> Destination:
        """Where to, with the token that opens it.

        Raises:
            ConfigError: if there is no token, or no repository.
        """
        if self.repo_id is None:
            raise ConfigError(
                f"it is not said where to: set HF_REPO_ID=owner/name in {environment.file}, or hub.repo_id of the run"
            )
        if environment.token is None:
            raise ConfigError(
                f"there is no token: put HF_TOKEN into {environment.file} (.env.example says how); only looking, with "
                "--dry-run, needs none"
            )
        return Destination(self.repo_id, self.private, environment.token, environment.token_from)


def prepare(run_folder: Path, environment: Environment, looked_at: Path | None = None) -> Prepared:
    """Write ``hub/README.md`` and ``hub/plan.json`` of a run, each only if it says something new.

    Args:
        run_folder: ``results/{run}``, with what the rules before wrote.
        looked_at: a plan that must still hold.

    Raises:
        DataError: if a file is missing or must not go, or the plan no longer holds.
    """
    inputs = read_card_inputs(run_folder)
    repo_id = environment.repo_id or inputs.run.hub.repo_id
    private = inputs.run.hub.private if environment.private is None else environment.private
    if inputs.corpus.private and not private:
        log.warning("the corpus is private, and everybody will see what was learnt from it: HF_PRIVATE=true hides it")
    before = read_json(looked_at) if looked_at else None
    card = run_folder / "hub" / "README.md"
    _write_if_new(card, hub_card(inputs, repo_id or UNNAMED))
    prepared = Prepared(run_name(run_folder), plan_upload(run_folder / "model", card), repo_id, private)
    if before is not None and before != prepared.stated():
        raise DataError(f"{looked_at}: is not what would go now: plan again, with --forcerun plan_push")
    _write_if_new(run_folder / "hub" / "plan.json", json.dumps(prepared.stated(), indent=1, sort_keys=True) + "\n")
    return prepared


def _write_if_new(path: Path, text: str) -> None:
    """A file that says the same already keeps its date, so that no rule runs again for it."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
