"""Cost: what the actor minimises, one cost per file."""
