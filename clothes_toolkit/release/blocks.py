"""The parts of a card that are made from facts, as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from clothes_toolkit.checks import RULES
from clothes_toolkit.naming import Scheme, printable
from clothes_toolkit.release.admission import leaks
from clothes_toolkit.release.baselines import Baseline
from clothes_toolkit.release.facts import CardFacts, ReleaseFacts
from clothes_toolkit.release.wrapping import filled
from clothes_toolkit.report import Severity

_PROTOCOLS = {
    "fixed": "last",
    "validation": "best on photos held out of train",
    "best-on-test": "**best on test itself**",
}
"""Which epoch's network was tested, by protocol."""
_LAYOUTS = {
    "split": "`trainA/`, `testA/` hold sketches, `trainB/`, `testB/` photos",
    "pool": "`A/` holds sketches, `B/` photos",
}
_NAMES = {
    Scheme.CLOTHES: "a photo is `xxxxx.png`, a sketch `xxxxx_0x.png`, the photo's number and the "
    "designer",
    Scheme.OPEN: "a photo is `STEM.EXT`, a sketch `STEM_NN.EXT`, the photo's stem and the designer",
}


def make_block(name: str, facts: CardFacts) -> str:
    """Return a block of a card by its name."""
    return filled(BLOCKS[name](facts))


def release(facts: CardFacts) -> str:
    """Say which release this is."""
    told = facts.release
    if told is None:
        return "This card is made from what is public; it belongs to no release."
    version = f"Version {told.version}. " if told.version else "Not released yet. "
    return (
        f"{version}Release checksum `{told.manifest.checksum}`, made with clothes-toolkit "
        f"{facts.toolkit}."
    )


def load(facts: CardFacts) -> str:
    """Say how to load the release, or how to check a copy."""
    told = facts.release
    if told is None:
        return (
            "Not on the Hub yet. `clothes-toolkit validate ./Clothes-V1 --expect clothes-v1` "
            "checks a copy against the numbers of this card."
        )
    if told.version is None:
        return "Not released yet; `clothes-toolkit publish` makes what can be loaded."
    name = told.source or "FOLDER"
    at = f', revision="v{told.version}"' if told.source else ""
    where = "" if told.source else "`FOLDER` is the folder of this file. "
    download = (
        f"`clothes-toolkit download {told.source} --version {told.version} --out ./{facts.name}` "
        "gives the folder back, byte for byte."
        if told.source
        else "`clothes-toolkit download` gives the dataset's folder back, byte for byte."
    )
    strokes = ", `strokes` (JSON text)" if facts.has_strokes else ""
    return f"""With `pip install "datasets[vision]"`:

```python
from datasets import load_dataset
pairs = load_dataset("{name}"{at})
gallery = load_dataset("{name}", "gallery"{at})
```

{where}A row of `pairs` is a sketch: `sketch`, `photo`, `photo_id`, `designer`{strokes}. A row of
`gallery` is a photo: `photo`, `photo_id`. A query of `pairs["test"]` is ranked against all of
`gallery["test"]`; its photo is the one with its `photo_id`.

{download}"""


def content(facts: CardFacts) -> str:
    """Say how much there is of what, and how it is laid out."""
    counts = facts.counts
    splits = {**counts["splits"], "all": counts}
    rows = [(name, str(told["photos"]), str(told["sketches"])) for name, told in splits.items()]
    designers: dict[str, int] = counts["designers"]
    layout = facts.release.manifest.layout if facts.release else "split"
    return f"""{_table(("split", "photos", "sketches"), rows)}

* **Layout:** {_LAYOUTS[layout]}.
* **Names:** {_NAMES[facts.scheme]}. A photo may have several sketches.
* **Designers:** {_drawn(designers)}."""


def _drawn(designers: Mapping[str, int]) -> str:
    """Say who drew how much, as far as that is known."""
    if not designers:
        return "none yet"
    named = list(designers)
    if not any(designers.values()):
        return f"{len(designers)}, `{named[0]}` to `{named[-1]}`"
    each = ", ".join(f"`{_plain(name)}` drew {n}" for name, n in designers.items())
    return f"{len(designers)} ({each})"


def split(facts: CardFacts) -> str:
    """Say how train and test were parted."""
    told = facts.release
    by_photo = "By photo, with all sketches of it; there is no validation split."
    if told is None:
        return by_photo
    if told.manifest.layout != "split":
        return "Not split yet."
    if told.split is None:
        how = "The split is kept as it came: there is no `split.json` that would repeat it."
    else:
        repeats = "repeats it" if told.split_is_whole else "has a part of it"
        how = (
            f"Drawn with seed {told.split.seed}: photos that look the same stay on one side, "
            f"balanced by designer and by sketches per photo; `split.json` {repeats}."
        )
    leaking = len(leaks(told.report))
    kept = (
        f"**The split leaks in {leaking} places.**"
        if leaking
        else "No photo, and no sketch of it, is on both sides."
    )
    return f"{by_photo} {how} {kept}"


def checks(facts: CardFacts) -> str:
    """Say what was checked, the verdict, and which findings stay."""
    told = facts.release
    if told is None:
        return f"`clothes-toolkit validate` knows {len(RULES)} rules; none was run for this card."
    return "\n\n".join(_checked(told))


def baselines(facts: CardFacts) -> str:
    """Show what methods reach on this release."""
    found = facts.release.baselines if facts.release else ()
    if not found:
        return "None was measured on this release."
    rows = [_baseline_row(b) for b in sorted(found, key=lambda b: -b.result.accuracy(1))]
    head = ("run", "method", "backbone", "recipe", "n", "Acc@1 (95 %)", "Acc@5", "Acc@10", "seeds",
            "epoch")  # fmt: skip
    chosen_on_test = any(b.result.facts["protocol"] == "best-on-test" for b in found)
    note = (
        "\nNumbers whose epoch was chosen on test are higher than what a network does on new "
        "queries, and are only for comparison with papers that report such numbers."
        if chosen_on_test
        else ""
    )
    return f"""{_table(head, rows)}

Percent, mean over seeds, ties counting against; n test sketches were ranked against
{found[0].result.facts["n_gallery"]} photos, measured on exactly this content. The last column says
which epoch's network was tested. A run's name leads to all its settings.{note}"""


BLOCKS: dict[str, Callable[[CardFacts], str]] = {
    "release": release,
    "load": load,
    "content": content,
    "split": split,
    "checks": checks,
    "baselines": baselines,
}


def _checked(told: ReleaseFacts) -> Iterator[str]:
    findings = told.report.findings
    errors = len(told.report.open_findings(Severity.ERROR))
    warnings = told.report.open_findings(Severity.WARNING)
    accepted = [finding for finding in findings if finding.accepted is not None]
    verdict = "sound" if not errors else "not sound"
    yield (
        f"`clothes-toolkit validate` ran {len(RULES)} rules on names, pairs, pixels, splits and "
        f"counts: **{verdict}**, {_count(errors, 'error')}, {_count(len(warnings), 'warning')}, "
        f"{len(accepted)} accepted."
    )
    if accepted:
        rows = [
            (f"`{f.rule}`", _cell(f.path), _cell(f.message), _cell(f.accepted or ""))
            for f in accepted
        ]
        yield "Looked at, and kept:"
        yield _table(("rule", "file", "what", "why it stays"), rows)
    if warnings:
        counted = Counter(finding.rule for finding in warnings)
        yield "Warnings: " + ", ".join(f"{n} `{rule}`" for rule, n in counted.items()) + "."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _baseline_row(baseline: Baseline) -> tuple[str, ...]:
    result = baseline.result
    facts = result.facts
    low, high = result.interval
    return (
        f"[{baseline.name}]({baseline.path})",
        _cell(facts["method"]),
        _cell(facts["backbone"]),
        _cell(facts["recipe"]),
        str(facts["n_queries"]),
        f"{result.accuracy(1):.2f} ({low:.1f}–{high:.1f})",
        f"{result.accuracy(5):.2f}",
        f"{result.accuracy(10):.2f}",
        str(len(result.runs)),
        _PROTOCOLS.get(facts["protocol"], _cell(facts["protocol"])),
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _cell(text: object) -> str:
    """Return text that ends no cell, opens no tag and formats nothing."""
    words = " ".join(printable(str(text)).split())
    return "".join(f"\\{c}" if c in "\\|`*_<>[]#" else c for c in words)


def _plain(text: str) -> str:
    return printable(text).replace("`", "'")
