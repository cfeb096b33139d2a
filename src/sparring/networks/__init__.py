"""Players: one file an architecture; `layers` holds the bricks they share.

A generator is `Generator(shape, classes, *, ...)` with `forward(z, labels=None) -> images in [-1, 1]` (points are
unbounded) and the attributes `z_dim` and `z_kind`; one that takes labels has `takes_labels = True`, and says in
`classes` of how many it does now. A discriminator is `Discriminator(shape, classes, *, ...)`, which looks
(`features`) and then judges (`layers.DiscriminatorBase`). A translator, from images to images, is made for the shape
that it is given (`layers.Translator`). `shape` is (channels, height, width). The files import torch and each other
only, so that an exported generator can carry its own source.
"""
