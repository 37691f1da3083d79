"""Speech encoders of five families behind one contract: what is read, tuned and judged is a ``SpeechEncoder``."""
