"""The whole ritual of a release as a checklist: every step is looked at, then it is published."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clothes_toolkit.dedup import accepted_duplicates, find_groups
from clothes_toolkit.errors import RefusedError, ToolkitError
from clothes_toolkit.release.admission import leaks
from clothes_toolkit.release.assemble import Examined, assemble
from clothes_toolkit.release.baselines import read_baselines
from clothes_toolkit.release.places import Place
from clothes_toolkit.release.publish import ReleasePlan, plan_release
from clothes_toolkit.release.version import Version
from clothes_toolkit.report import Severity


@dataclass(frozen=True, slots=True)
class Item:
    """A step of the checklist.

    Attributes:
        name: of the step.
        ok: whether the release may go on.
        note: what was found, in a line.
    """

    name: str
    ok: bool
    note: str


class Ritual:
    """A release on its way: the steps, and the plan that they end in.

    Args:
        found: the dataset, examined for `version`.
        place: where it is to be published.
        baselines: the folder of results, or `None`, which the ritual refuses.
    """

    def __init__(
        self, found: Examined, place: Place, version: Version, baselines: Path | None
    ) -> None:
        self.found, self.place, self.version, self.baselines = found, place, version, baselines
        self.plan: ReleasePlan | None = None

    def items(self) -> Iterator[Item]:
        """Yield the steps before publishing, in order; a step that fails stops none of them."""
        steps: dict[str, Callable[[], str]] = {
            "validate": self._validate,
            "duplicates": self._duplicates,
            "split": self._split,
            "baselines": self._baselines,
            "card and plan": self._plan,
        }
        for name, step in steps.items():
            try:
                yield Item(name, True, step())
            except ToolkitError as error:
                yield Item(name, False, str(error))

    def _validate(self) -> str:
        report = self.found.report
        if errors := report.open_findings(Severity.ERROR):
            first = errors[0]
            raise RefusedError(f"{len(errors)} errors, first {first.rule}: {first.path}")
        accepted = sum(finding.accepted is not None for finding in report.findings)
        warnings = len(report.open_findings(Severity.WARNING))
        return f"0 errors, {warnings} warnings, {accepted} accepted"

    def _duplicates(self) -> str:
        found = self.found
        groups = find_groups(found.dataset, found.images, accepted_duplicates(found.dataset))
        left = sum(any(d.accepted is None for d in group.duplicates) for group in groups)
        return f"{len(groups)} groups, {left} of them not accepted"

    def _split(self) -> str:
        if found := leaks(self.found.report):
            raise RefusedError(f"{len(found)} leaks, first {found[0].path}: {found[0].message}")
        splits = self.found.manifest.counts["splits"]
        if not splits:
            raise RefusedError("not split yet; `clothes-toolkit split` makes train and test")
        return ", ".join(
            f"{name} {told['photos']} photos, {told['sketches']} sketches"
            for name, told in splits.items()
        )

    def _baselines(self) -> str:
        if self.baselines is None:
            raise RefusedError("none; measure one on this content and name it with --baselines")
        found = read_baselines(self.baselines, self.found.manifest)
        best = max(found, key=lambda baseline: baseline.result.accuracy(1))
        return f"{len(found)} measured on this content, best Acc@1 {best.result.accuracy(1):.2f}"

    def _plan(self) -> str:
        state = self.place.state()
        package = assemble(self.found, self.place, state, self.version, self.baselines)
        self.plan = plan_release(package, self.place, state)
        if self.plan.previous is None:
            return "the first release"
        return f"a {self.plan.changes.step.word} step from {self.plan.previous}"
