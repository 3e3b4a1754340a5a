"""How a model speaks. Each engine imports its heavy library inside itself."""
