"""Towards the servers: connections, answers as they come, and clients that leave meanwhile."""
