"""Keeps the libraries that run models away from the network, threads of their own, each other."""

import logging
import os
from pathlib import Path
from threading import Lock

SWITCHES = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""Set whatever the operator chose: models are read from local files only."""

LOADING = Lock()
"""Hold it around every `from_pretrained` of transformers, by whatever library it is called.

A load replaces parts of torch for the whole process while it runs; two at once give models without
weights. Scoring may go on. The one lock of the guard that is held long, by loading threads alone.
"""


def go_offline(models_path: Path) -> None:
    """Set the environment that those libraries read once, at their import: call it before.

    An operator's own `OMP_NUM_THREADS`, `NLTK_DATA` and `TIKTOKEN_CACHE_DIR` are kept.
    """
    os.environ.update(SWITCHES)
    root = models_path.absolute()
    os.environ.setdefault("NLTK_DATA", str(root / "nltk_data"))
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(root / "tiktoken"))
    threads = os.environ.setdefault("OMP_NUM_THREADS", "1")
    if threads != "1":
        logging.getLogger(__name__).warning(
            "OMP_NUM_THREADS is set by the environment; 1 is fastest beside other threads"
        )
