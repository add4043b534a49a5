"""The languages clients speak: parse, read, and render; peers that do not know each other."""
