"""ARNet and its peers: fine-grained sketch-based image retrieval on explicit pairs.

Tensors in, ranks out. This package knows nothing of a dataset's folders and file names.
"""

from arnet.checkpoint import load_checkpoint, load_method, save_method
from arnet.data import PairImages, Pairs, load_images, load_pairs
from arnet.errors import ArnetError
from arnet.evaluate import Retrieval, embed, evaluate, wilson_interval
from arnet.layout import should_fit_ink
from arnet.methods.base import Batch, Method
from arnet.recipes import PUBLISHED, STRONG, Recipe
from arnet.registry import create_method, list_methods
from arnet.train import Trainer

__all__ = [
    "PUBLISHED",
    "STRONG",
    "ArnetError",
    "Batch",
    "Method",
    "PairImages",
    "Pairs",
    "Recipe",
    "Retrieval",
    "Trainer",
    "create_method",
    "embed",
    "evaluate",
    "list_methods",
    "load_checkpoint",
    "load_images",
    "load_method",
    "load_pairs",
    "save_method",
    "should_fit_ink",
    "wilson_interval",
]
