"""Who is let in, and what they may ask for, before any work is done."""
