"""Write the results of the benchmarks into the pages of `docs/`, between their markers."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from arnet.evaluate import wilson_interval
from tests.planted import KINDS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "docs" / "speed.md", ROOT / "docs" / "results.md"]
RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; columns but for the first stand right."""
    rule = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def training() -> str:
    """Return the table of `training.py`: a row for what was done, a column for who did it."""
    contests: dict[str, dict[str, Row]] = {}
    for row in _read("training-cpu")["rows"]:
        if "ratio" in row:
            contests.setdefault(row["what"], {})[row["who"]] = row
    who = list(dict.fromkeys(name for found in contests.values() for name in found))
    rows = [
        [what, *(_pace(found[name]) if name in found else "" for name in who)]
        for what, found in contests.items()
    ]
    return table(("images/s (share of the peer's time)", *who), rows)


def _pace(row: Row) -> str:
    return f"{row['images_per_second']:.1f} ({row['ratio']:.2f})"


def duplicates() -> str:
    """Return the tables of `duplicates.py`: one a folder."""
    return "\n\n".join(
        _contest(what, rows) for what, rows in _read("duplicates")["folders"].items()
    )


def _contest(what: str, rows: list[Row]) -> str:
    floor = rows[0]["seconds"]
    cells = [
        [
            row["who"],
            f"{row['seconds']:.2f}",
            f"{row['seconds'] / floor:.2f}",
            str(row["mebibytes"]),
            *_links(row),
        ]
        for row in rows
    ]
    head = ("", "s", "of decoding", "MiB", "links", "wrong", "recall", "precision")
    return f"{what.capitalize()}, {rows[0]['images']:,} images:\n\n{table(head, cells)}"


def _links(row: Row) -> Iterator[str]:
    for key in ("links", "wrong"):
        yield f"{row[key]:,}" if key in row else ""
    for key in ("recall", "precision"):
        yield "" if row.get(key) is None else f"{row[key]:.4f}"


def hash_search() -> str:
    """Return the table of `hash_search.py`."""
    head = ("hashes", "", "s", "MiB", "pairs", "recall, 7 bits", "recall, 8 bits")
    rows = [
        [
            f"{row['hashes']:,} {what}",
            row["who"],
            f"{row['seconds']:.2f}",
            str(row["mebibytes"]),
            f"{row['pairs']:,}",
            *(f"{row[key]:.4f}" if key in row else "" for key in ("recall_to_7", "recall_at_8")),
        ]
        for what, rows in _read("hash-search")["hashes"].items()
        for row in rows
    ]
    return table(head, rows)


def lookalikes() -> str:
    """Return the table of `lookalikes.py`: what was measured on images held out."""
    rows = [
        [
            f"{what}: {folder}",
            str(row["images"]),
            f"{row['recall']:.4f}",
            f"{row['precision']:.4f}",
            *(f"{row['recall_by_kind'][kind]:.3f}" for kind in KINDS),
        ]
        for what, results in _read("lookalikes").items()
        for folder, row in results["held_out"].items()
    ]
    return table(("", "images", "recall", "precision", *KINDS), rows)


def recipe() -> str:
    """Return the table of `recipe.py`: every variant beside the recipe itself."""
    return _variants("recipe")


def scouted() -> str:
    """Return the table of what was tried while the recipe took shape."""
    return _variants("recipe-scouted")


def _variants(log: str) -> str:
    runs: dict[tuple[str, str, int], list[Row]] = {}
    for line in (RESULTS / f"{log}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        key = (row["variant"], json.dumps(row["settings"]), row["epochs"])
        runs.setdefault(key, []).append(row)
    rows = []
    for (variant, _, epochs), found in runs.items():
        mean = {
            key: None
            if any(row[key] is None for row in found)
            else statistics.fmean(row[key] for row in found)
            for key in ("acc@1", "acc@5", "acc@10", "mrr")
        }
        changes = found[0]["settings"].items()
        rows.append(
            [
                f"{variant}" + "".join(f" `{k}={_text(v)}`" for k, v in changes),
                f"{epochs}",
                f"{len(found)}",
                *(
                    "" if value is None else f"{value:.1f}"
                    for value in (mean[key] for key in ("acc@1", "acc@5", "acc@10", "mrr"))
                ),
            ]
        )
    return table(("", "epochs", "seeds", "@1", "@5", "@10", "MRR"), rows)


def sizes() -> str:
    """Return the table of `sizes.py`: drawings of other sizes and weights, framed and not."""
    how = {"true": "framed", "false": "only resized"}
    rows = [
        [
            f"{row['sketches']}, {how[row['settings']['fit_ink']]}",
            *(f"{row[f'acc@{q}']:.1f}" for q in (1, 5, 10)),
        ]
        for row in _read("sizes")
    ]
    return table(("", "@1", "@5", "@10"), rows)


def layout() -> str:
    """Return the table of `layout.py`: what place and size tell, and so whether to frame."""
    rows = [
        [
            f"{row['dataset']}, {row['photos']} photos",
            f"{row['as_is']:.1f}",
            f"{row['framed']:.1f}",
            "framed" if row["framed"] <= row["as_is"] else "as they lie",
        ]
        for row in _read("layout")
    ]
    return table(("mean rank of a sketch's own photo", "as they lie", "framed", "so"), rows)


def studio() -> str:
    """Return the table of `studio.py`: what many designers at once wait for."""
    told = _read("studio")
    rows = [
        [row["what"], f"{row['calls']:,}", *(f"{row[key]:.0f}" for key in ("p50_ms", "p95_ms"))]
        for row in told["calls"]
    ]
    head = (f"{told['designers']} designers", "calls", "p50, ms", "p95, ms")
    return (
        f"{table(head, rows)}\n\n"
        f"{told['handed_in']} sketches handed in, {told['accepted']} accepted, {told['lost']} "
        f"lost, {told['errors_of_validate']} errors in the dataset afterwards; the server took "
        f"{told['memory_mib']} MiB. Alone: a cold browser shows the sheet "
        f"{told['first_page_s']:.1f} s after signing in, {told['pen_events_kept']} of "
        f"{told['pen_events']} pen events are kept at {told['pen_events_per_s']:.0f} a second, and "
        f"a sketch of 5,000 points is drawn in {told['rendering_5000_points_ms']:.0f} ms."
    )


SETS = {"chairv2": "chairv2", "large": "100,000 pairs"}


def release() -> str:
    """Return the table of `release.py`: seconds and memory of what a release takes."""
    told = _read("release")
    steps = [
        step for step, row in told["chairv2"].items() if isinstance(row, dict) and "mib" in row
    ]
    rows = [
        [step, *(str(told[name][step][key]) for name in SETS for key in ("s", "mib"))]
        for step in steps
    ]
    head = ("", *(f"{words}, {unit}" for words in SETS.values() for unit in ("s", "MiB")))
    return table(head, rows)


def loading() -> str:
    """Return the other table of `release.py`: going through all pairs once."""
    rows = [
        [
            f"{words}, {who}",
            f"{row['rows']:,}",
            f"{row['ready_s']:.1f}",
            f"{row['rows_per_s']:,}",
            f"{row['ratio']:.2f}" if "ratio" in row else "",
        ]
        for name, words in SETS.items()
        for who, row in _read("release")[name]["loading"].items()
    ]
    return table(("", "rows", "s until the first", "rows/s after it", "ratio"), rows)


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value).lower()


def baselines() -> str:
    """Return the table of the run folders' `result.json` under `results/baselines/`."""
    rows = []
    for path in sorted((RESULTS / "baselines").glob("*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        minutes = statistics.fmean(run["train_seconds"] for run in told["runs"]) / 60
        rows.append(
            [
                f"`{_command(told)}`",
                *_accuracies(told, told["acc@1_sd"]),
                f"{minutes:.0f}",
                f"{told['environment']['device']}, {told['environment']['precision']}",
            ]
        )
    rows += [_again(what) for what in _read("evaluations")]
    head = ("", "@1", "@5", "@10", "95 %", "n", "minutes a seed", "on")
    return table(head, rows)


def _again(what: Row) -> list[str]:
    """Return the row of `evaluate`'s documents, one a seed of a run, with other settings."""
    found = what["seeds"]
    some = next(iter(found.values()))
    mean = {
        key: statistics.fmean(one[key] for one in found.values())
        for key in ("acc@1", "acc@5", "acc@10")
    }
    told = {
        **mean,
        "n_queries": some["n_queries"],
        "acc@1_ci95": wilson_interval(mean["acc@1"], some["n_queries"]),
    }
    changes = " ".join(f"--set {key}={value}" for key, value in some["settings"].items())
    return [
        f"`evaluate chairv2 --checkpoint {what['run']}/seed-{','.join(found)} {changes}`",
        *_accuracies(told, _deviation([one["acc@1"] for one in found.values()])),
        "",
        "",
    ]


def _deviation(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def _accuracies(told: Row, deviation: float | None) -> Iterator[str]:
    """Give the cells of Acc@q, the interval of Acc@1 and the number of queries."""
    yield f"{told['acc@1']:.2f}" + ("" if deviation is None else f" ± {deviation:.2f}")
    for key in ("acc@5", "acc@10"):
        yield f"{told[key]:.2f}"
    low, high = told["acc@1_ci95"]
    yield f"{low:.1f} to {high:.1f}"
    yield str(told["n_queries"])


def _command(told: Row) -> str:
    """Return what was typed for a result."""
    runs = told["runs"]
    words = [
        f"baseline {told['dataset']['name']} --model {told['method']}",
        f"--backbone {told['backbone']} --weights {told['weights']}",
        f"--recipe {told['recipe']} --epochs {runs[0]['epochs']}",
        f"--protocol {told['protocol']} --seeds {','.join(str(run['seed']) for run in runs)}",
        *(f"--set {key}={value}" for key, value in told["settings"].items()),
    ]
    return " ".join(words)


TABLES: dict[str, Callable[[], str]] = {
    "recipe": recipe,
    "scouted": scouted,
    "sizes": sizes,
    "layout": layout,
    "baselines": baselines,
    "training": training,
    "studio": studio,
    "release": release,
    "loading": loading,
    "duplicates": duplicates,
    "hash-search": hash_search,
    "lookalikes": lookalikes,
}


def filled(page: str) -> str:
    """Return a page with every table between its markers made anew."""
    for name, make in TABLES.items():
        start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        if start in page:
            pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
            page = pattern.sub(lambda _: f"{start}\n\n{make()}\n\n{end}", page)  # noqa: B023
    return page


def _read(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
