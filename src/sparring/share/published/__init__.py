"""Networks that others published: their weights by our names, and the settings of ours that they fit.

One file for each author. `translator(tensors)` takes the state dict of a file and returns the settings, with the
network's spelling under `network` and an image shape it was trained on under `shape`, and its weights. Tensors are
passed on, not copied. What does not fit raises FileUnusableError.
"""
