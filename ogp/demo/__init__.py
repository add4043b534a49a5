"""A scriptable Ollama look-alike: for `--demo`, for tests and for benchmarks."""
