"""From a song to a trace of skin conductance: networks, measures and losses."""
