"""The reality report: is the model of the world real? One section per file."""
