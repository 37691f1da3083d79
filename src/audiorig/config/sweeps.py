"""Several runs at once: seeds, and cases that differ in a few settings."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, model_validator

from audiorig.config.base import Name, Section

ABLATION = "ablation-"  # begins the names of ablations among the results
SEED = r"seed-(?:0|[1-9]\d*)"  # one spelling for each seed
LADDER = "ladder"  # the folder of the runs that a run is shown beside: {run}/ladder/{case}/seed-{k}
OF_SEED = re.compile(rf"(?P<split>.+)\.(?P<seed>{SEED})")  # a split that is drawn anew for a seed
Seed = Annotated[int, Field(ge=0)]


class Case(Section):
    """One variant of the base run."""

    title: str = Field("", description="How tables call the case; its name if empty.")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="What differs from the base, written as in a run's YAML."
    )


class AblationConfig(Section):
    """A file of config/ablations: one base run, a few cases, several seeds, one table."""

    title: str = Field("", description="Headline of the report.")
    achieves: str = Field("", description="What the comparison asks, and what it costs.")
    base: Name = Field(description="The run that all cases start from.")
    seeds: tuple[Seed, ...] = Field((0, 1, 2), min_length=1, description="Seeds; every case is trained with each.")
    common: dict[str, Any] = Field(
        default_factory=dict, description="What all cases change, written as in a run's YAML."
    )
    reference: Name = Field(description="The case that the others are compared with.")
    cases: dict[Name, Case] = Field(min_length=1, description="Named cases.")

    @model_validator(mode="after")
    def _cases_and_seeds_are_possible(self) -> "AblationConfig":
        if self.reference not in self.cases:
            raise ValueError(f"reference is {self.reference!r}: expected one of {', '.join(self.cases)}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds are {', '.join(map(str, self.seeds))}: each can stand there once")
        for where, settings in [("common", self.common), *((f"cases.{n}", c.settings) for n, c in self.cases.items())]:
            if key := next((key for key in ("seed", "seeds", "extends") if key in settings), None):
                instead = "`base`" if key == "extends" else "the ablation's own `seeds`"
                raise ValueError(f"{where} holds {key!r}: say it in {instead}")
        return self


@dataclass(frozen=True)
class Sweep:
    """Runs that one page, results/{name}/report.html, joins: cases, each trained with several seeds.

    Attributes:
        reference: the case that the others are compared with.
        cases: case -> title; a run with several seeds is a sweep of one case.
        folders: case -> name of its runs without the seed.
        changes: case -> what differs from the base, beside ``common``, as a run's YAML has it.
    """

    name: str
    title: str
    achieves: str
    reference: str
    seeds: tuple[int, ...]
    cases: dict[str, str]
    folders: dict[str, str]
    changes: dict[str, dict[str, Any]]
    common: dict[str, Any]

    def run(self, case: str, seed: int) -> str:
        """Name of the run of a case and a seed."""
        return f"{self.folders[case]}/seed-{seed}"

    @property
    def runs(self) -> list[str]:
        """All runs, case by case, the seeds in order."""
        return [self.run(case, seed) for case in self.cases for seed in self.seeds]
