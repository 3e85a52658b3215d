"""How boxes are read from the outputs of heads: cfg keys and arithmetic, on numpy alone."""
