"""The dataset card: blocks made from facts, between sections that belong to the owners.

A card that exists is brought up to date: its blocks and the metadata that the data determines are
made anew, every other word stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clothes_toolkit.errors import MissingExtraError, RefusedError, ToolkitError
from clothes_toolkit.release.blocks import BLOCKS, make_block
from clothes_toolkit.release.facts import CardFacts
from clothes_toolkit.release.shards import CONFIGS, PAIRS, SPLITS, columns
from clothes_toolkit.release.story import Story, story_of
from clothes_toolkit.release.wrapping import filled

CARD_FILE = "DATASET_CARD.md"
"""Beside the dataset; in a release it is `README.md`."""
DETERMINED = ("size_categories", "configs", "dataset_info")
"""Metadata that follows from the data; the rest is the owners'."""
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGER = "1M<n<10M"
_FRONT = re.compile(r"\A---\n(.*?)^---(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_KEY = re.compile(r"([A-Za-z_][^:#]*):(?:\s|$)")
"""How a line begins that is a key of the metadata, and no part of another key's value."""


def render_card(facts: CardFacts, existing: str | None = None, name: str = CARD_FILE) -> str:
    """Return the card, a new one or `existing` brought up to date; errors call it `name`.

    Raises `ToolkitError` where the existing card's metadata is no YAML, and `RefusedError` where a
    block that must be in a card was cut from it.
    """
    front, body = _apart(existing or "", name)
    if not body.strip():
        metadata = _read_yaml(front, name)
        front += _yaml({k: v for k, v in _defaults(facts).items() if k not in metadata})
        body = _body(facts, story_of(facts))
    for block in BLOCKS:
        body = _with_block(body, block, make_block(block, facts), name)
    return _joined(front, _determined(facts), body)


def owners_words(card: str, name: str) -> str:
    """Return what of a card no release determines; raises `ToolkitError` as `render_card`."""
    front, body = _apart(card, name)
    for block in BLOCKS:
        begin, end = _marks(block)
        body = re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", "", body, flags=re.DOTALL)
    return _without_determined(front) + body


def read_card(path: Path) -> str | None:
    """Return a card, or `None` if there is none; raises `ToolkitError` if it cannot be read."""
    return read_text(path) if path.is_file() else None


def read_text(path: Path) -> str:
    """Return a text file's content; raises `ToolkitError` where it is none."""
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise ToolkitError(f"{path}: is no UTF-8 text ({error.reason})") from error
    except OSError as error:
        raise ToolkitError(f"{path}: cannot be read ({error.strerror})") from error


def is_made_here(card: str) -> bool:
    """Whether a card has a block of ours."""
    return _marks("release")[0] in card


def pointing_to(folder: str, card: str) -> str:
    """Return a card for the folder above, which loads the release that a card is of."""
    front, body = _apart(card, folder)
    metadata = _read_yaml(front, folder)
    for config in metadata.get("configs", ()):
        for files in config["data_files"]:
            files["path"] = f"{folder}/{files['path']}"
    determined = {key: metadata[key] for key in DETERMINED if key in metadata}
    return _joined(front, determined, body)


def _apart(card: str, name: str) -> tuple[str, str]:
    """Return a card's metadata, which is YAML, and its body; line ends become Unix ones."""
    plain = card.removeprefix("\ufeff").replace("\r\n", "\n")
    found = _FRONT.match(plain)
    if found is None:
        if plain.startswith("---"):
            raise ToolkitError(f"{name}: its metadata has no end; a line '---' closes it")
        return "", plain
    _read_yaml(found[1], name)
    return found[1], plain[found.end() :]


def _joined(front: str, determined: Mapping[str, Any], body: str) -> str:
    """Return a card of the owners' metadata, what the data determines of it, and a body."""
    return f"---\n{_without_determined(front)}{_yaml(determined)}---\n{body}"


def _read_yaml(front: str, name: str) -> dict[str, Any]:
    yaml = _import_yaml()
    try:
        metadata = yaml.safe_load(front)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 2}: " if mark else ""
        problem = getattr(error, "problem", None) or error
        raise ToolkitError(f"{name}: {line}its metadata is no YAML ({problem})") from error
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise ToolkitError(f"{name}: its metadata must be keys with values, like 'license: mit'")
    return metadata


def _without_determined(front: str) -> str:
    """Return the owners' metadata as they wrote it: what is read and written again would differ."""
    kept, drops = [], False
    for line in front.splitlines(keepends=True):
        key = _KEY.match(line)
        if key:
            drops = key[1].strip() in DETERMINED
        if not drops or line.startswith("#"):
            kept.append(line)
    return "".join(kept)


def _with_block(body: str, block: str, text: str, name: str) -> str:
    begin, end = _marks(block)
    pattern = re.compile(re.escape(begin) + r".*?" + re.escape(end), re.DOTALL)
    if len(pattern.findall(body)) != 1:
        raise RefusedError(
            f"{name}: needs the block '{block}' once, between '{begin}' and '{end}'; put these two "
            "lines where it belongs, and the block is written between them"
        )
    return pattern.sub(lambda _: f"{begin}\n{text}\n{end}", body)


def _marks(block: str) -> tuple[str, str]:
    return f"<!-- made by clothes-toolkit: {block} -->", f"<!-- end of {block} -->"


def _defaults(facts: CardFacts) -> dict[str, Any]:
    """Return metadata that owners may change: `zxx` is the code of what has no language."""
    tags = ["sketch-based-image-retrieval", "fg-sbir", "sketch"]
    return {
        "pretty_name": facts.name,
        "license": "unknown",
        "language": ["zxx"],
        "task_categories": ["image-feature-extraction"],
        "annotations_creators": ["expert-generated"],
        "source_datasets": ["original"],
        "tags": [*tags, "fashion"] if facts.is_clothes_v1 else tags,
    }


def _determined(facts: CardFacts) -> dict[str, Any]:
    pairs = facts.counts["pairs"]
    size = next((word for limit, word in _SIZES if pairs < limit), _LARGER)
    if not facts.contents:
        return {"size_categories": [size]}
    configs = [
        {
            "config_name": config,
            **({"default": True} if config == PAIRS else {}),
            "data_files": [
                {"split": split, "path": f"{config}/{split}-*.parquet"} for split in SPLITS
            ],
        }
        for config in CONFIGS
    ]
    infos = [_dataset_info(config, facts) for config in CONFIGS]
    return dict(zip(DETERMINED, ([size], configs, infos), strict=True))


def _dataset_info(config: str, facts: CardFacts) -> dict[str, Any]:
    of_config = [c for c in facts.contents if c.config == config]
    return {
        "config_name": config,
        "features": [
            {"name": name, "dtype": kind}
            for name, kind in columns(config, facts.has_strokes).items()
        ],
        "splits": [
            {"name": c.split, "num_bytes": c.size, "num_examples": c.rows} for c in of_config
        ],
        "dataset_size": sum(c.size for c in of_config),
    }


def _yaml(values: Mapping[str, Any]) -> str:
    if not values:
        return ""
    text: str = _import_yaml().safe_dump(dict(values), sort_keys=False, allow_unicode=True)
    return text


def _body(facts: CardFacts, story: Story) -> str:
    def block(name: str) -> str:
        begin, end = _marks(name)
        return f"{begin}\n{make_block(name, facts)}\n{end}"

    results = f"\n{story.results}\n" if story.results else ""
    return f"""
# {facts.name}

{filled(story.intro)}

{block("release")}

## Load

{block("load")}

## Content

{block("content")}

## Splits

{block("split")}

## Checks

{block("checks")}

## Intended use

{filled(story.use)}

## Baselines

{block("baselines")}
{results}
## Known limits

{filled(story.limits)}

## License, provenance, consent

{filled(story.provenance)}

## Citation

{filled(story.citation)}
"""


def _import_yaml() -> Any:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError("a card", "hub") from error
    return yaml
