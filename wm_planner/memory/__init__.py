"""Memory: the short-term context the predictor sees."""
