"""What a text means, for finding skills: words to whole-number vectors, captions as anchors, COALESCE eq. (12).

Whole numbers only, and no library: the same text gives the same vector on every machine, and a seller that finds its
anchors loads nothing for it.
"""
