"""What a new card says beside the facts, for the owners to change as they see fit."""

from __future__ import annotations

from dataclasses import dataclass

from clothes_toolkit.release.facts import CardFacts


@dataclass(frozen=True, slots=True)
class Story:
    """Sections of a card that people write.

    Attributes:
        intro: what the dataset is.
        use: what it is for.
        results: published numbers, with their heading; may be empty.
        limits: what it cannot show.
        provenance: where it comes from, who agreed to what, under which license.
        citation: BibTeX.
    """

    intro: str
    use: str
    results: str
    limits: str
    provenance: str
    citation: str


def story_of(facts: CardFacts) -> Story:
    """Return the sections to start from."""
    return _clothes_v1() if facts.is_clothes_v1 else _any(facts)


def _any(facts: CardFacts) -> Story:
    counts = facts.counts
    return Story(
        f"{counts['photos']} photos and {counts['sketches']} sketches of them by "
        f"{len(counts['designers'])} designers, for fine-grained sketch-based image retrieval "
        "(FG-SBIR): given a sketch, the task is to find the photo that was drawn among all photos "
        "of the split.",
        "Training and comparing methods of sketch-based retrieval. Results are Acc@1, 5 and 10 of "
        "the test sketches among the test photos, ties counting against; state how the epoch was "
        "chosen.",
        "",
        _interval_note(counts["splits"].get("test", {}).get("sketches", 0)),
        _TO_BE_COMPLETED,
        "To be completed by the owners.",
    )


def _interval_note(queries: int) -> str:
    if not queries:
        return "To be completed by the owners."
    half_width = 98 / queries**0.5
    return (
        f"One test query is {100 / queries:.2f} points of Acc@1, and the 95 % interval of an Acc@1 "
        f"of 50 is about ± {half_width:.1f} points: smaller differences between two methods say "
        "nothing."
    )


_TO_BE_COMPLETED = """To be completed by the owners:

* **License** of photos and sketches (and `license` at the top of this file).
* **Provenance:** where the photos come from, who drew, when, with what.
* **Consent:** what the designers agreed to, and whom to ask to have something removed."""


def _clothes_v1() -> Story:
    return Story(
        """\
500 garment photos and 1200 sketches of them by seven designers: the first professional fashion
sketch–photo dataset, for fine-grained sketch-based image retrieval (FG-SBIR). Given a sketch, the
task is to find the photo of that exact garment among all photos of the split.""",
        """\
Research on sketch-based retrieval of garments: training and comparing methods. Results are Acc@1, 5
and 10 over the 275 test sketches against the 120 test photos; state how the epoch was chosen. At
this size one query is 0.36 points, and the 95 % interval of an Acc@1 of 95 is about ± 2.6 points.

The dataset is not meant for identifying designers, and says nothing about people.""",
        """\
## Published results

| method | Acc@1 | Acc@5 | Acc@10 | how the epoch was chosen |
|---|---|---|---|---|
| ARNet | 94.18 | 98.91 | 99.27 | best of 500 epochs on test |
| ARNet with MSTR | 95.27 | 98.55 | 99.27 | best of 500 epochs on test |

Source: Jiang, Tang, Jiang, Yu, Wu, *ARNet: Self-Supervised FG-SBIR with Unified Sample Feature
Alignment and Multi-Scale Token Recycling*, AAAI 2025, and the logs that its authors released. (The
paper prints 94.12 in the first row, which is no multiple of 1/275.)""",
        """\
The dataset is small, from few hands (four of the seven designers are professionals, three are
juniors), and shows garments without wearers on plain backgrounds. A difference of less than about
2.5 points between two methods is not significant on its test split.""",
        _TO_BE_COMPLETED,
        """```bibtex
@inproceedings{jiang2025arnet,
  title     = {{ARNet}: Self-Supervised {FG-SBIR} with Unified Sample Feature Alignment and
               Multi-Scale Token Recycling},
  author    = {Jiang, Jianan and Tang, Hao and Jiang, Zhilin and Yu, Weiren and Wu, Di},
  booktitle = {Proceedings of the AAAI Conference on Artificial Intelligence},
  volume    = {39},
  number    = {4},
  pages     = {3985--3993},
  year      = {2025}
}
```""",
    )
