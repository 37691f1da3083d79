"""Electrodermal activity: traces of listeners, from published files to items."""
