"""The request log: a row before anything goes upstream, finished when the exchange ends."""
