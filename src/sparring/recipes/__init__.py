"""The history of GANs as recipes, one file a family: plain functions that return a Recipe.

A recipe's keyword parameters are its flags on the command line.
"""

from sparring.recipes.codes import vqgan, vqgan_prior
from sparring.recipes.conditional import acgan, biggan, cgan, projection_gan
from sparring.recipes.convolutional import dcgan
from sparring.recipes.diversity import feature_matching, minibatch_discrimination, pacgan, unrolled
from sparring.recipes.enlarging import esrgan
from sparring.recipes.least_squares import lsgan
from sparring.recipes.modern import r3gan
from sparring.recipes.original import gan
from sparring.recipes.progressive import progan, stylegan
from sparring.recipes.quick import quick
from sparring.recipes.smooth import dragan, sngan
from sparring.recipes.style import stylegan2
from sparring.recipes.translation import cyclegan, pix2pix
from sparring.recipes.wasserstein import wgan, wgan_gp

__all__ = [
    "acgan",
    "biggan",
    "cgan",
    "cyclegan",
    "dcgan",
    "dragan",
    "esrgan",
    "feature_matching",
    "gan",
    "lsgan",
    "minibatch_discrimination",
    "pacgan",
    "pix2pix",
    "progan",
    "projection_gan",
    "quick",
    "r3gan",
    "sngan",
    "stylegan",
    "stylegan2",
    "unrolled",
    "vqgan",
    "vqgan_prior",
    "wgan",
    "wgan_gp",
]
