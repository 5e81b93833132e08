"""Training: the JEPA, then the heads that read its frozen latents."""
