"""Actor: mode 1 (reactive policy) and mode 2 (planning), one solver per file."""
