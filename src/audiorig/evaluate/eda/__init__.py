"""How predicted traces are judged: baselines, nulls, scores."""
