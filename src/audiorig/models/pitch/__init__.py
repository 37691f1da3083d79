"""The pitch of speech, on the frames of the spectrogram."""
