"""The JSON that scripts rely on, as JSON Schema: what the contract says, no more and no less."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def exact(**properties: Schema) -> Schema:
    """An object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def at_least(**properties: Schema) -> Schema:
    """An object with these properties, and perhaps others: adding is free."""
    return exact(**properties) | {"additionalProperties": True}


def either(*types: str) -> Schema:
    return {"type": list(types)}


TEXT, WHOLE, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}
PERCENT = {"type": "number", "minimum": 0, "maximum": 100}
PAIR = {"type": "array", "items": PERCENT, "minItems": 2, "maxItems": 2}
SIZES = exact(photos=WHOLE, sketches=WHOLE)
COUNTS = exact(
    photos=WHOLE,
    sketches=WHOLE,
    pairs=WHOLE,
    designers={"type": "object", "additionalProperties": WHOLE},
    splits={"type": "object", "additionalProperties": SIZES},
)
FINDING = exact(
    rule=TEXT,
    severity={"enum": ["error", "warning"]},
    path=TEXT,
    message=TEXT,
    hint=either("string", "null"),
    related={"type": "array", "items": TEXT},
    accepted=either("string", "null"),
)
VALIDATE = exact(
    schema={"const": "clothes-toolkit/validate/1"},
    root=TEXT,
    scheme={"enum": ["clothes", "open"]},
    ok={"type": "boolean"},
    counts=COUNTS,
    findings={"type": "array", "items": FINDING},
)
STATS = at_least(schema={"const": "clothes-toolkit/stats/1"}, counts=COUNTS)
DEDUP = at_least(
    schema={"const": "clothes-toolkit/dedup/1"},
    groups={
        "type": "array",
        "items": at_least(
            kind={"enum": ["exact", "near"]},
            side={"enum": ["photo", "sketch"]},
            keep=TEXT,
            duplicates={
                "type": "array",
                "minItems": 1,
                "items": at_least(path=TEXT, distance=WHOLE),
            },
        ),
    },
)
FIX = at_least(
    schema={"const": "clothes-toolkit/fix/1"},
    applied={"type": "boolean"},
    repairs={
        "type": "array",
        "items": at_least(
            path=TEXT,
            rules={"type": "array", "items": TEXT, "minItems": 1},
            to=either("string", "null"),
            obstacle=either("string", "null"),
        ),
    },
)
MODELS = exact(
    schema={"const": "clothes-toolkit/models/1"},
    methods={
        "type": "array",
        "minItems": 1,
        "items": at_least(name=TEXT, paper=TEXT, backbone=TEXT, published={"type": "object"}),
    },
)
ACCURACY = {"acc@1": PERCENT, "acc@5": PERCENT, "acc@10": PERCENT}
BASELINE = at_least(
    schema={"const": "clothes-toolkit/baseline/1"},
    method=TEXT,
    backbone=TEXT,
    weights=TEXT,
    recipe=TEXT,
    protocol=TEXT,
    dataset=exact(
        name=TEXT,
        sha256={"type": "string", "pattern": "^[0-9a-f]{64}$"},
        train=SIZES,
        test=SIZES,
    ),
    n_queries=WHOLE,
    n_gallery=WHOLE,
    **ACCURACY,
    **{"acc@1_ci95": PAIR, "acc@1_sd": either("number", "null")},
    runs={
        "type": "array",
        "minItems": 1,
        "items": at_least(
            seed=WHOLE,
            epochs=WHOLE,
            epoch_chosen=WHOLE,
            **ACCURACY,
            best_on_test={"anyOf": [{"type": "null"}, exact(epoch=WHOLE, **{"acc@1": PERCENT})]},
            train_seconds=NUMBER,
            views_per_second=NUMBER,
        ),
    },
    environment=at_least(
        torch=TEXT,
        timm=TEXT,
        device=TEXT,
        precision={"enum": ["fp32", "bf16"]},
        threads=WHOLE,
        commit=either("string", "null"),
    ),
)
PATHS = {"type": "array", "items": TEXT}
DIFF = at_least(
    schema={"const": "clothes-toolkit/diff/1"},
    added=PATHS,
    removed=PATHS,
    changed=PATHS,
    moved={"type": "array", "items": exact(path=TEXT, to=TEXT)},
    version_step={"enum": ["none", "patch", "minor", "major"]},
)
EVALUATE = at_least(
    schema={"const": "clothes-toolkit/evaluate/1"},
    n_queries=WHOLE,
    n_gallery=WHOLE,
    **ACCURACY,
    **{"acc@1_ci95": PAIR},
)
