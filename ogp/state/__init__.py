"""What requests share: who runs and who waits, behind one Protocol per kind of state."""
