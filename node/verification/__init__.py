"""Checks of what a model delivered: form, quotes, figures, a second answer, the word of a judge. Pure."""
