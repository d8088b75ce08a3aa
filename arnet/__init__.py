"""ARNet and its peers: fine-grained sketch-based image retrieval on explicit pairs.

Tensors in, ranks out. This package knows nothing of a dataset's folders and file names.
"""

from arnet.checkpoint import load_method, save_method
from arnet.data import PairImages, Pairs, load_pairs
from arnet.errors import ArnetError
from arnet.evaluate import Retrieval, evaluate, wilson_interval
from arnet.recipes import PUBLISHED, STRONG, Recipe
from arnet.registry import create_method, list_methods
from arnet.train import Trainer

__all__ = [
    "PUBLISHED",
    "STRONG",
    "ArnetError",
    "PairImages",
    "Pairs",
    "Recipe",
    "Retrieval",
    "Trainer",
    "create_method",
    "evaluate",
    "list_methods",
    "load_method",
    "load_pairs",
    "save_method",
    "wilson_interval",
]
