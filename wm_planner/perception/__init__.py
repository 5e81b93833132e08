"""Perception: messages to frames and joint vectors, frames to latents."""
