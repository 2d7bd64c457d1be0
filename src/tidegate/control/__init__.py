"""The control plane: what people and other systems ask about, away from the path of calls."""
