"""Looks at prompts and answers: builtin scanners over the raw and the normalised text."""
