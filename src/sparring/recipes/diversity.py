"""Against mode collapse: D sees several images at a time, or G sees what D will do, or what D's features expect."""

from __future__ import annotations

from functools import partial
from typing import Literal

from sparring.networks.modifiers import discriminate_minibatch
from sparring.objectives.losses import non_saturating
from sparring.recipe import Optim, Paper, Recipe, Term, Turn
from sparring.recipes.original import original_loss
from sparring.recipes.players import players, two_players

__all__ = ["feature_matching", "minibatch_discrimination", "pacgan", "unrolled"]

_SALIMANS = Paper("Salimans et al.", "Improved Techniques for Training GANs", 2016, "https://arxiv.org/abs/1606.03498")
_METZ = Paper(
    "Metz, Poole, Pfau & Sohl-Dickstein",
    "Unrolled Generative Adversarial Networks",
    2017,
    "https://arxiv.org/abs/1611.02163",
)
_LIN = Paper(
    "Lin, Khetan, Fanti & Oh",
    "PacGAN: The power of two samples in generative adversarial networks",
    2018,
    "https://arxiv.org/abs/1712.04086",
)


def unrolled(
    *,
    network: str = "dcgan",
    width: int | None = None,
    steps: int = 5,
    loss: Literal["minimax", "non_saturating"] = "minimax",
    rate: float = 2e-4,
    beta1: float = 0.5,
    batch: int = 64,
    z_dim: int | None = None,
) -> Recipe:
    """Unrolled GAN: G plays against D as it will be after some more of its own steps (Metz et al. 2017).

    Parameters
    ----------
    network
        Architecture of both players, a module of `sparring.networks`.
    width
        Channels next to the image (units, for perceptrons); by default the architecture's own.
    steps
        Steps of D that G looks ahead; each costs about one more turn of D, twice differentiated.
    loss
        What G minimises against the D to come: `minimax` as in the paper, or `non_saturating`.
    rate
        Adam's learning rate for both players, and for the steps to come.
    beta1
        Adam's momentum.
    batch
        Reals of a round.
    z_dim
        Dimensions of z; by default the architecture's own, 2 for points.
    """
    return two_players(
        "unrolled",
        "G plays against D as it will be some steps later",
        (_METZ,),
        original_loss(loss),
        players(network, width=width, z_dim=z_dim),
        optim=Optim(rate=rate, betas=(beta1, 0.999)),
        batch=batch,
        unroll=steps,
    )


def pacgan(
    *,
    network: str = "dcgan",
    width: int | None = None,
    packing: int = 2,
    rate: float = 2e-4,
    beta1: float = 0.5,
    batch: int = 64,
    z_dim: int | None = None,
) -> Recipe:
    """PacGAN: D judges several images together, all real or all fake: collapse is easy to see (Lin et al. 2018).

    Parameters
    ----------
    network
        Architecture of both players, a module of `sparring.networks`; only the input of D grows.
    width
        Channels next to the image (units, for perceptrons); by default the architecture's own.
    packing
        Images in a pack, m of the paper; must divide the batch.
    rate
        Adam's learning rate for both players.
    beta1
        Adam's momentum.
    batch
        Reals of a round, so that D sees batch / packing packs.
    z_dim
        Dimensions of z; by default the architecture's own, 2 for points.
    """
    return two_players(
        "pacgan",
        "D judges packs of several images",
        (_LIN,),
        non_saturating,
        players(network, width=width, z_dim=z_dim),
        optim=Optim(rate=rate, betas=(beta1, 0.999)),
        batch=batch,
        packing=packing,
    )


def minibatch_discrimination(
    *,
    network: str = "dcgan",
    width: int | None = None,
    kernels: int = 50,
    dim: int = 5,
    rate: float = 2e-4,
    beta1: float = 0.5,
    batch: int = 64,
    z_dim: int | None = None,
) -> Recipe:
    """Minibatch discrimination: D is told how near each image is to the others of its batch (Salimans et al. 2016).

    Parameters
    ----------
    network
        Architecture of both players, a module of `sparring.networks`.
    width
        Channels next to the image (units, for perceptrons); by default the architecture's own.
    kernels
        Measures of nearness, B of section 3.2.
    dim
        Dimensions of each measure, C of section 3.2.
    rate
        Adam's learning rate for both players.
    beta1
        Adam's momentum.
    batch
        Reals of a round.
    z_dim
        Dimensions of z; by default the architecture's own, 2 for points.
    """
    return two_players(
        "minibatch_discrimination",
        "D is told how near the images of a batch are to each other",
        (_SALIMANS,),
        non_saturating,
        players(network, width=width, z_dim=z_dim),
        optim=Optim(rate=rate, betas=(beta1, 0.999)),
        batch=batch,
        modifiers=(partial(discriminate_minibatch, kernels=kernels, dim=dim),),
    )


def feature_matching(
    *,
    network: str = "dcgan",
    width: int | None = None,
    weight: float = 1.0,
    adversarial: float = 0.0,
    rate: float = 2e-4,
    beta1: float = 0.5,
    batch: int = 64,
    z_dim: int | None = None,
) -> Recipe:
    """Feature matching: G makes the mean of D's features on fakes equal to that on reals (Salimans et al. 2016).

    Parameters
    ----------
    network
        Architecture of both players, a module of `sparring.networks`.
    width
        Channels next to the image (units, for perceptrons); by default the architecture's own.
    weight
        Weight of the squared distance of the mean features.
    adversarial
        Weight of the adversarial term in G's turn; the paper has none.
    rate
        Adam's learning rate for both players.
    beta1
        Adam's momentum.
    batch
        Reals of a round.
    z_dim
        Dimensions of z; by default the architecture's own, 2 for points.
    """
    recipe = two_players(
        "feature_matching",
        "G matches the mean of D's features",
        (_SALIMANS,),
        non_saturating,
        players(network, width=width, z_dim=z_dim),
        optim=Optim(rate=rate, betas=(beta1, 0.999)),
        batch=batch,
    )
    terms = [Term("feature_matching", weight=weight)]
    terms += [Term("adversarial", weight=adversarial)] if adversarial else []
    return recipe.but(turns=(Turn(("discriminator",)), Turn(("generator",), tuple(terms))))
