"""Ollama Guard Proxy: a guarding, queueing, recording proxy in front of Ollama servers."""

__version__ = "0.1.0"
