"""audiorig: reproducible experiments in audio deep learning.

Nothing heavy is imported here: the Snakefile reads ``audiorig.config`` at every dry run.
"""

__version__ = "0.1.0"
