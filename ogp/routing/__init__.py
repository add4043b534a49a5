"""Which server answers: what is known of each, and the choice."""
