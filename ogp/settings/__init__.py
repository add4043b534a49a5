"""Typed configuration: config.yaml, environment and flags in one frozen object."""
