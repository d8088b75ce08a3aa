"""The model card beside a trained network: what it is, how good, measured how, how to load it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from clothes_toolkit.learn.result import Q_VALUES, BaselineResult, Run

CARD = "README.md"
PROTOCOL_NOTES = {
    "fixed": "the last epoch; test was measured once and chose nothing",
    "validation": "the best epoch on train photos that were held out of training; test was "
    "measured once and chose nothing",
    "best-on-test": "**the best epoch on test itself**, as some papers report; such a number is "
    "higher than what the network will do on new queries, and is only for comparison with them",
}


def model_card(result: BaselineResult, run: Run, config: Mapping[str, Any]) -> str:
    """Return the card of one seed, Markdown with the metadata that the Hub reads."""
    facts, environment = result.facts, result.environment
    name, backbone, dataset = facts["method"], facts["backbone"], facts["dataset"]
    low, high = result.interval
    deviation = result.deviation
    seeds = (
        f"Mean Acc@1 of {len(result.runs)} seeds: {result.accuracy(1):.2f}, standard deviation "
        f"{deviation:.2f}."
        if deviation is not None
        else "One seed."
    )
    rows = "".join(f"| Acc@{q} | {run.accuracy[q]:.2f} |\n" for q in Q_VALUES)
    weights = {"hub": "pretrained", "none": "random"}.get(facts["weights"], facts["weights"])
    return f"""---
library_name: clothes-toolkit
pipeline_tag: image-feature-extraction
tags: [sketch-based-image-retrieval, fg-sbir, {name}]
base_model: timm/{backbone}
---

# {name} on {dataset["name"]}

Finds the photo that a sketch shows: {name} with the timm backbone `{backbone}`, started from
{weights} weights, recipe `{facts["recipe"]}`, {run.epochs} epochs of {run.batch_size} pairs a step,
seed {run.seed}.

## Measured

| | percent |
|---|---|
{rows}
{facts["n_queries"]} queries in a gallery of {facts["n_gallery"]} photos; ties count against.
{seeds} The 95 % Wilson interval of the mean is {low:.1f} to {high:.1f}.
Epoch {run.epoch_chosen} was tested, chosen by protocol `{facts["protocol"]}`:
{PROTOCOL_NOTES[facts["protocol"]]}.

Trained on {dataset["train"]["sketches"]} sketches of {dataset["train"]["photos"]} photos. The
release checksum of the data is `{dataset["sha256"]}`.

## Use

```python
from pathlib import Path

import arnet

method = arnet.load_method(Path("FOLDER"))  # or arnet.Method.from_pretrained("ORG/NAME")
images = arnet.load_images(
    [Path("sketch.png")], method.size, resample=method.resample, fit_ink=method.fits_ink
)
vectors = arnet.embed(method.embed_sketch, images)
```

## Limits

Trained on drawings of one kind of thing, by few hands; on others it will do worse than the numbers
above. It ranks photos and does not say that none of them fits.

## Made with

torch {environment["torch"]}, timm {environment["timm"]}, {environment["device"]},
{environment["precision"]}, commit {environment["commit"] or "unknown"}.

```json
{json.dumps(config["options"], indent=1)}
```
"""
