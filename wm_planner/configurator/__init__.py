"""Configurator: the contract between topics and tensors, and what is built from it."""
