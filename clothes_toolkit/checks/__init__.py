"""The rules of a sound dataset, in the order in which reports show them."""

from __future__ import annotations

from clothes_toolkit.checks import names, pairs, pixels, splits
from clothes_toolkit.checks.rule import Fault, Needs, Rule, Subject
from clothes_toolkit.report import Severity

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING
_PIXELS, _LIKENESS = Needs.PIXELS, Needs.LIKENESS

RULES: tuple[Rule, ...] = (
    Rule("missing-folder", _ERROR, "a side of the layout is missing", pairs.missing_folder),
    Rule("empty-split", _ERROR, "a split has no photo or no sketch", pairs.empty_split),
    Rule("unexpected-file", _WARNING, "neither a photo nor a sketch", names.unexpected_file),
    Rule("symlink-escape", _ERROR, "a link leads out of the dataset", names.symlink_escape),
    Rule("name-format", _ERROR, "a name that the scheme does not allow", names.name_format),
    Rule("name-case", _ERROR, "a name that is right but for letter case", names.name_case),
    Rule("name-collision", _ERROR, "two files that can be taken for one", names.name_collision),
    Rule("wrong-side", _ERROR, "a sketch among photos, or the reverse", names.wrong_side),
    Rule("orphan-sketch", _ERROR, "a sketch without its photo", pairs.orphan_sketch),
    Rule("photo-without-sketch", _WARNING, "a photo nobody drew", pairs.photo_without_sketch),
    Rule("unknown-designer", _ERROR, "a designer who is not expected", pairs.unknown_designer),
    Rule("split-leak", _ERROR, "one photo in train and in test", splits.split_leak, _PIXELS),
    Rule("near-leak", _WARNING, "lookalikes in train and test", splits.near_leak, _LIKENESS),
    Rule("unreadable-image", _ERROR, "does not decode at all", pixels.unreadable_image, _PIXELS),
    Rule("truncated-image", _ERROR, "decodes only in part", pixels.truncated_image, _PIXELS),
    Rule("format-mismatch", _ERROR, "not the extension's format", pixels.format_mismatch, _PIXELS),
    Rule("oversized-image", _ERROR, "more pixels than the limit", pixels.oversized_image, _PIXELS),
    Rule("trailing-data", _WARNING, "bytes after the image's end", pixels.trailing_data, _PIXELS),
    Rule("animated-image", _ERROR, "more than one frame", pixels.animated_image, _PIXELS),
    Rule("blank-sketch", _ERROR, "a sketch without ink", pixels.blank_sketch, _PIXELS),
    Rule("not-a-sketch", _WARNING, "color or photo among sketches", pixels.not_a_sketch, _PIXELS),
    Rule(
        "transparent-image", _WARNING, "an alpha channel in use", pixels.transparent_image, _PIXELS
    ),
    Rule("odd-size", _WARNING, "very small or very long", pixels.odd_size, _PIXELS),
    Rule("exact-duplicate", _ERROR, "two files with equal pixels", pixels.exact_duplicate, _PIXELS),
    Rule("near-duplicate", _WARNING, "two that look the same", pixels.near_duplicate, _LIKENESS),
    Rule("count-mismatch", _ERROR, "counts other than expected", pairs.count_mismatch),
)

__all__ = ["RULES", "Fault", "Needs", "Rule", "Subject"]
