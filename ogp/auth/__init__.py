"""Who is asking: tokens, their verification, and the users they belong to."""
