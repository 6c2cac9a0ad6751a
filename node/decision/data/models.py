"""Open language models by the shape that their published configurations give."""

from typing import NamedTuple

AS_OF = "2026-11-21"
SOURCE = "the models' published config.json files and model cards (Meta Llama 3, Mistral, Qwen 2.5)"


class Model(NamedTuple):
    """A dense decoder with grouped-query attention."""

    parameters: float
    """N."""
    layers: int
    """L."""
    width: int
    """d, the hidden size."""
    kv_heads: int
    """H_kv."""
    head_width: int
    """d_h."""


MODELS = {
    "llama-3-8b": Model(8.03e9, 32, 4096, 8, 128),
    "llama-3-70b": Model(70.6e9, 80, 8192, 8, 128),
    "mistral-7b": Model(7.24e9, 32, 4096, 8, 128),
    "qwen-2.5-7b": Model(7.62e9, 28, 3584, 4, 128),
    "qwen-2.5-72b": Model(72.7e9, 80, 8192, 8, 128),
}
