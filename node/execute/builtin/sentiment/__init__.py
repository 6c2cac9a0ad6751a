"""Negation-aware lexicon sentiment, sentence by sentence."""
