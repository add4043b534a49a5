"""The edge: Falcon parses, hands over and answers; no policy, no SQL."""
