"""The promise of `ogp.guard.model`, kept by both kinds of models."""

import inspect

import pytest

from ogp.guard.classifier import Classifier
from ogp.guard.llmguard_model import LLMGuardModel
from ogp.guard.model import Model


@pytest.mark.parametrize("kind", [Classifier, LLMGuardModel])
def test_each_model_keeps_the_promise_with_the_same_parameters(kind: type) -> None:
    for name, method in inspect.getmembers(Model, inspect.isfunction):
        if not name.startswith("_"):
            promised = list(inspect.signature(method).parameters)
            assert list(inspect.signature(getattr(kind, name)).parameters) == promised, name
