"""What an auxiliary decoder learns to predict: frozen codes, or the features of a pre-trained model."""
