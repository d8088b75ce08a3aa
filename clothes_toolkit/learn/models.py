"""The methods that can be trained, as values to print."""

from __future__ import annotations

from typing import Any

from clothes_toolkit.learn.bridge import network


def list_models() -> list[dict[str, Any]]:
    """Return name, summary, paper, backbone and published numbers of every method."""
    return [
        {
            "name": info.name,
            "summary": info.summary,
            "paper": info.paper,
            "backbone": info.backbone,
            "published": {name: dict(row) for name, row in info.published.items()},
        }
        for info in network("listing the methods").list_methods()
    ]
