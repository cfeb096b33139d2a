"""GANs that are told classes: beside z, by an auxiliary classifier, by projection, and at scale."""

from __future__ import annotations

from sparring.networks.modifiers import spectral_norm
from sparring.objectives.losses import hinge, non_saturating
from sparring.objectives.weights import orthogonal
from sparring.recipe import Ema, Optim, Paper, Penalty, Recipe, Term, Turn, fitted
from sparring.recipes.averages import halflife
from sparring.recipes.changes import labels
from sparring.recipes.players import players, two_players

__all__ = ["acgan", "biggan", "cgan", "projection_gan"]

_MIRZA = Paper("Mirza & Osindero", "Conditional Generative Adversarial Nets", 2014, "https://arxiv.org/abs/1411.1784")
_ODENA = Paper(
    "Odena, Olah & Shlens",
    "Conditional Image Synthesis With Auxiliary Classifier GANs",
    2017,
    "https://arxiv.org/abs/1610.09585",
)
_KOYAMA = Paper("Miyato & Koyama", "cGANs with Projection Discriminator", 2018, "https://arxiv.org/abs/1802.05637")
_BROCK = Paper(
    "Brock, Donahue & Simonyan",
    "Large Scale GAN Training for High Fidelity Natural Image Synthesis",
    2019,
    "https://arxiv.org/abs/1809.11096",
)


def cgan(
    *,
    network: str = "dcgan",
    width: int | None = None,
    rate: float = 2e-4,
    beta1: float = 0.5,
    batch: int = 64,
    z_dim: int | None = None,
    balanced: bool = False,
) -> Recipe:
    """Conditional GAN: the label beside z, and beside the image as one more channel (Mirza & Osindero 2014).

    Parameters
    ----------
    network
        Architecture of both players, a module of `sparring.networks`; `mirza` has the paper's perceptrons.
    width
        Channels next to the image (units, for perceptrons); by default the architecture's own.
    rate
        Adam's learning rate for both players.
    beta1
        Adam's momentum.
    batch
        Reals of a round.
    z_dim
        Dimensions of z; by default the architecture's own, 2 for points.
    balanced
        Show every class equally often, however many images it has.
    """
    recipe = two_players(
        "cgan",
        "the label beside z and beside the image",
        (_MIRZA,),
        non_saturating,
        players(network, width=width, z_dim=z_dim),
        optim=Optim(rate=rate, betas=(beta1, 0.999)),
        batch=batch,
    )
    return labels(recipe, "concat").but(balanced=balanced)


def acgan(
    *,
    network: str = "dcgan",
    width: int | None = None,
    weight: float = 1.0,
    classify_fakes: bool = False,
    rate: float = 2e-4,
    beta1: float = 0.5,
    batch: int = 64,
    z_dim: int | None = None,
    balanced: bool = False,
) -> Recipe:
    """AC-GAN: D is not told the label but has to tell it; G makes images that D tells rightly (Odena et al. 2017).

    Parameters
    ----------
    network
        Architecture of both players, a module of `sparring.networks`.
    width
        Channels next to the image (units, for perceptrons); by default the architecture's own.
    weight
        Weight of the classification terms of both players.
    classify_fakes
        D learns the classes of fakes as well, as in the paper. The two players may then agree on signs of a class that
        no image of the data has: on MNIST few digits were the ones asked for.
    rate
        Adam's learning rate for both players.
    beta1
        Adam's momentum.
    batch
        Reals of a round.
    z_dim
        Dimensions of z; by default the architecture's own, 2 for points.
    balanced
        Show every class equally often, however many images it has.
    """
    recipe = two_players(
        "acgan",
        "D tells the classes apart as well",
        (_ODENA,),
        non_saturating,
        players(network, width=width, z_dim=z_dim),
        optim=Optim(rate=rate, betas=(beta1, 0.999)),
        batch=batch,
    )
    own = (Term("adversarial"), Term("classification", weight))
    theirs = (Term("fake_classification", weight),) if classify_fakes else ()
    turns = (Turn(("discriminator",), (*own, *theirs)), Turn(("generator",), own))
    return labels(recipe, "classes").but(turns=turns, balanced=balanced)


def projection_gan(
    *,
    network: str = "resnet",
    width: int | None = None,
    rate: float = 2e-4,
    beta1: float = 0.0,
    discriminator_turns: int = 5,
    batch: int = 64,
    z_dim: int | None = None,
    balanced: bool = False,
) -> Recipe:
    """Projection GAN: D projects its features on the label, G has conditional batch norm (Miyato & Koyama 2018).

    Parameters
    ----------
    network
        Architecture of both players, a module of `sparring.networks`; D is built without batch norm.
    width
        Channels next to the image (units, for perceptrons); by default the architecture's own.
    rate
        Adam's learning rate for both players.
    beta1
        Adam's momentum.
    discriminator_turns
        D's turns of a round.
    batch
        Reals of a round.
    z_dim
        Dimensions of z; by default the architecture's own, 2 for points.
    balanced
        Show every class equally often, however many images it has.
    """
    recipe = two_players(
        "projection_gan",
        "D projects on the label, spectral normalisation, hinge loss",
        (_KOYAMA,),
        hinge,
        players(network, width=width, z_dim=z_dim, judge_norm=False),
        optim=Optim(rate=rate, betas=(beta1, 0.9)),
        batch=batch,
        modifiers=(spectral_norm,),
        together=True,
    )
    turns = (Turn(("discriminator",), times=discriminator_turns), Turn(("generator",)))
    return labels(recipe, "projection").but(turns=turns, balanced=balanced)


def biggan(
    *,
    width: int = 64,
    rate: float = 2e-4,
    discriminator_rate: float = 2e-4,
    discriminator_turns: int = 4,
    batch: int = 64,
    z_dim: int = 120,
    orthogonality: float = 1e-4,
    standing: int = 16,
    balanced: bool = False,
    accumulate: int = 1,
) -> Recipe:
    """BigGAN: hierarchical z, shared embeddings, self-attention, orthogonal weights (Brock et al. 2019).

    The defaults are those for small images. The paper's own, for 128 px and 1,000 classes: width 96, rates 5e-5 and
    2e-4, 2 turns of D, a batch of 2,048 (`accumulate` makes it of parts that fit).

    Parameters
    ----------
    width
        The paper's ch: channels next to the image; images below 64 px have four times as many everywhere.
    rate
        Adam's learning rate for G.
    discriminator_rate
        Adam's learning rate for D.
    discriminator_turns
        D's turns of a round.
    batch
        Reals of a round.
    z_dim
        Dimensions of z, cut into a chunk for the base and one for each block.
    orthogonality
        Weight of G's penalty on filters that are not at right angles.
    standing
        Batches over which G's statistics are measured anew whenever its average is used; 0 averages them as weights.
    balanced
        Show every class equally often, however many images it has.
    accumulate
        Play a batch in so many parts, one after the other.
    """
    apart = Penalty("orthogonality", of=orthogonal, weight=orthogonality)
    recipe = two_players(
        "biggan",
        "hierarchical z, shared embeddings, attention, orthogonal weights",
        (_BROCK,),
        hinge,
        players("biggan", width=width, z_dim=z_dim),
        optim=Optim(rate=rate, betas=(0.0, 0.999), eps=1e-6),
        batch=batch,
        modifiers=(spectral_norm,),
        together=True,
    )
    terms = (Term("adversarial"), apart) if orthogonality else (Term("adversarial"),)
    return labels(recipe, "projection").but(
        turns=(Turn(("discriminator",), times=discriminator_turns), Turn(("generator",), terms)),
        optims={**recipe.optims, "discriminator": Optim(rate=discriminator_rate, betas=(0.0, 0.999), eps=1e-6)},
        emas={"generator": Ema(halflife=fitted(halflife), standing=standing)},
        balanced=balanced,
        accumulate=accumulate,
    )
