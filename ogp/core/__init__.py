"""Values, errors and promises shared by every layer; standard library only."""
