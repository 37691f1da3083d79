"""Errors whose message is written for a person: scripts print the sentence, not a traceback."""


class ReportedError(Exception):
    """Something that the user can mend; the message says where, what, and what to do."""


class ConfigError(ReportedError):
    """A setting is wrong or missing."""


class DataError(ReportedError):
    """A file or a table is not what it must be."""


class ResumeError(ReportedError):
    """A run cannot go on from where it is."""


class Unfinished(ReportedError):
    """The work was stopped in good order before its end; run it again to go on."""
