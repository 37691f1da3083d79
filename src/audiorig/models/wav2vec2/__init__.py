"""wav2vec 2.0 in its published format: pre-training that goes on, and the encoder that comes out of it."""
