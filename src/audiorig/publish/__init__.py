"""A trained model for others: its card, the exact list of what goes, the way to the Hub, and no secret anywhere."""
