"""The page of a run that predicts skin conductance."""
