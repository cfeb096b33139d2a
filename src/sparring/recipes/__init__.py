"""The history of GANs as recipes, one file a family: plain functions that return a Recipe.

A recipe's keyword parameters are its flags on the command line.
"""

from sparring.recipes.convolutional import dcgan
from sparring.recipes.modern import r3gan
from sparring.recipes.original import gan
from sparring.recipes.quick import quick

__all__ = ["dcgan", "gan", "quick", "r3gan"]
