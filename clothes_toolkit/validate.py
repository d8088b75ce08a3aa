"""Run the rules over a dataset."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence

from clothes_toolkit.checks import RULES, Needs, Rule, Subject
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.duplicates import near_duplicates
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.expectations import Accepted, Expectation, read_word_of
from clothes_toolkit.images import ImageFacts
from clothes_toolkit.inspection import Progress, inspect_images
from clothes_toolkit.report import Finding, Report, Severity


def validate(
    dataset: Dataset,
    *,
    expect: Expectation | None = None,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    fail_on: Severity = Severity.ERROR,
    images: Mapping[str, ImageFacts] | None = None,
    jobs: int = 1,
    on_progress: Progress = lambda _done, _total: None,
) -> Report:
    """Check everything and return a report.

    Args:
        dataset: what to check.
        expect: expected counts and designers; left out, those of its `clothes.toml`.
        only: names of the rules to run; all if empty.
        skip: names of rules to leave out.
        fail_on: the lowest severity that makes the dataset unsound.
        images: the facts of its images, where they are known already.
        jobs: processes to decode in, see `inspect_images`.
        on_progress: hears how many images were looked at.

    Raises `ToolkitError` for an unknown rule or a `clothes.toml` that cannot be used.
    """
    rules = _chosen(only, skip)
    word = read_word_of(dataset)
    needs = max((rule.needs for rule in rules), default=Needs.NAMES)
    if images is None:
        images = inspect_images(dataset, jobs, on_progress) if needs >= Needs.PIXELS else {}
    near = near_duplicates(dataset, images) if needs >= Needs.LIKENESS else ()
    subject = Subject(dataset, expect or word.expect, images, near)
    findings = [finding for rule in rules for finding in rule.findings(subject)]
    return Report(
        str(dataset.root),
        dataset.scheme.value,
        dataset.chosen,
        dataset.counts(),
        tuple(_accept(findings, word.accepted)),
        fail_on,
    )


def _chosen(only: Sequence[str], skip: Sequence[str]) -> list[Rule]:
    known = [rule.name for rule in RULES]
    for name in (*only, *skip):
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            raise ToolkitError(f"there is no rule '{name}'{hint}")
    return [r for r in RULES if (not only or r.name in only) and r.name not in skip]


def _accept(findings: Iterable[Finding], accepted: Iterable[Accepted]) -> Iterable[Finding]:
    reasons = {(entry.rule, entry.path): entry.reason for entry in accepted}
    for finding in findings:
        reason = reasons.get((finding.rule, finding.path))
        yield dataclasses.replace(finding, accepted=reason)
