"""World model: action-conditioned prediction in latent space."""
