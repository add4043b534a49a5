"""Who may use a model, and when: waiting for slots, limits, statistics."""
