"""Differentiable augmentation of what a discriminator sees: pipes, and how strongly they act.

A pipe is a function `(images [n, c, h, w], strength, draw, *, settings) -> images`; all its chance comes from
`draw(n, dim, kind)`, so that a run can be repeated.
"""
