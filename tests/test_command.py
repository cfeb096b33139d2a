"""The real command, in processes of its own: killed, stopped, resumed, and told nonsense."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparring.cli.benchmarks import _say
from sparring.console import ProgressStyle, display
from sparring.engine.checkpoint import checkpoints, save
from sparring.engine.rundir import Run
from sparring.engine.signals import StopRequest
from sparring.errors import DivergedError, FileUnusableError, Interrupted, UsageError
from sparring.recipes import gan
from sparring.recipes.spelling import recipe_named
from sparring.training import train

TRAIN = ["--recipe", "gan", "--width", "8", "--batch", "8", "--images", "12000", "--threads", "1", "--progress", "none"]

KILL_IN_A_SAVE = """
import os, signal, sys
from sparring.engine import checkpoint
call, countdown = sys.argv[1], int(sys.argv[2])
real = getattr(os, call)
def fatal(*arguments, **keywords):
    global countdown
    countdown -= 1
    if countdown == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **keywords)
inside = checkpoint.save
def save(*arguments, **keywords):
    setattr(os, call, fatal)
    try:
        return inside(*arguments, **keywords)
    finally:
        setattr(os, call, real)
import sparring.training.keeper
sparring.training.keeper.save = save
from sparring.cli import main
main(sys.argv[3:])
"""


def _hear() -> dict[signal.Signals, Any]:
    """Listen to signals that what runs in the background, or under nohup, ignores; what was done with them before."""
    return {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}


@pytest.fixture
def hearing() -> Iterator[None]:
    before = _hear()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def start(*words: object, code: str | None = None) -> subprocess.Popen[str]:
    """The command as a process of its own."""
    program = [sys.executable, "-c", code] if code else [sys.executable, "-m", "sparring"]
    return subprocess.Popen(
        [*program, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
        preexec_fn=_hear,
    )


def run(*words: object) -> subprocess.CompletedProcess[str]:
    """The command, to its end."""
    process = start(*words)
    out, err = process.communicate(timeout=240)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 small images in one file."""
    path = tmp_path_factory.mktemp("data") / "noise.npz"
    np.savez(path, images=np.random.default_rng(0).integers(0, 256, (400, 8, 8), dtype=np.uint8))
    return path


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nobody interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    done = run("train", data, *TRAIN, "--out", out)
    assert done.returncode == 0, done.stderr
    return out


def wait_for_checkpoint(out: Path, process: subprocess.Popen[str], known: int) -> None:
    """Until a new checkpoint exists, or the process has ended."""
    while process.poll() is None:
        found = checkpoints(out / "checkpoints")
        if found and found[0].seen > known:
            return
        time.sleep(0.002)


def newest_seen(out: Path) -> int:
    found = checkpoints(out / "checkpoints")
    return found[0].seen if found else -1


def test_ten_kills_leave_the_uninterrupted_run(data: Path, whole: Path, tmp_path: Path) -> None:
    """kill -9 at random moments and inside saves; the last checkpoint is byte for byte that of the whole run."""
    out, dice = tmp_path / "run", random.Random(5)
    begin = ["train", data, *TRAIN, "--out", out]
    resume = ["train", "--resume", "--out", out, "--threads", 1, "--progress", "none"]
    in_a_save = {2: ("write", 1), 4: ("fsync", 1), 6: ("replace", 1), 8: ("fsync", 2)}
    for kill in range(10):
        words = resume if (out / "recipe.json").exists() else begin
        if kill in in_a_save:
            process = start(*in_a_save[kill], *words, code=KILL_IN_A_SAVE)
        else:
            process = start(*words)
            wait_for_checkpoint(out, process, newest_seen(out))
            time.sleep(dice.random() * 0.2)
            process.kill()
        _, err = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, err
    done = run(*resume)
    assert done.returncode == 0, done.stderr
    assert newest_name(out) == newest_name(whole)
    assert [path.name for _, path in Run(out).grids()] == [path.name for _, path in Run(whole).grids()]
    assert numbers(out) == numbers(whole)
    assert not list(out.rglob(".tmp-*"))


def newest_name(out: Path) -> str:
    """Seen and hash in one."""
    return checkpoints(out / "checkpoints")[0].path.name


def numbers(out: Path) -> list[dict[str, float]]:
    """The log without the numbers that depend on the clock."""
    clock = {"seconds", "images_per_second", "matrix_share"}
    kept = [record for record in Run(out).records() if "round" in record]
    return [{k: v for k, v in record.items() if k not in clock} for record in kept]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_the_run_goes_on(data: Path, whole: Path, tmp_path: Path, number: int, code: int) -> None:
    out = tmp_path / "run"
    process = start("train", data, *TRAIN, "--out", out)
    wait_for_checkpoint(out, process, -1)
    begin = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert time.monotonic() - begin < 5
    assert f"sparring train --resume --out {out}" in err
    done = run("train", "--resume", "--out", out, "--threads", 1, "--progress", "none")
    assert done.returncode == 0, done.stderr
    assert newest_name(out) == newest_name(whole)


def test_a_longer_run_goes_on_to_its_own_end(whole: Path, tmp_path: Path) -> None:
    """What is said after Ctrl-C can be typed as it is."""
    out = tmp_path / "run"
    subprocess.run(["cp", "-r", str(whole), str(out)], check=True)
    process = start("train", "--resume", "--images", "100k", "--out", out, "--threads", 1, "--progress", "none")
    wait_for_checkpoint(out, process, 12_000)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert f"go on with: sparring train --resume --out {out} --images 100000\n" in err


@pytest.mark.usefixtures("hearing")
def test_a_signal_at_the_last_save_is_heard_and_its_command_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a run that went on to less than its budget: it ends there, and its report does not say that it is trained."""
    out, begun = tmp_path / "run", save

    def stopped_while_saving(*arguments: Any, **keywords: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return begun(*arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr("sparring.training.keeper.save", stopped_while_saving)
        with pytest.raises(Interrupted, match="stopped and saved"):
            train(gan(width=8), "ring8", images="40k", out=out, threads=1, progress="none")
        seen = Run(out).checkpoint.seen
        with pytest.raises(
            Interrupted, match=f"score it with: sparring train --resume --out {out} --images {seen + 1}$"
        ):
            train(images=seen + 1, out=out, resume=True, threads=1, progress="none")
    assert not any("scores" in record for record in Run(out).records())
    train(images=seen + 1, out=out, resume=True, threads=1, progress="none")
    assert [score["name"] for score in Run(out).records()[-1]["scores"]] == ["fid", "kid"]
    assert 'class="state stopped"' in (out / "report.html").read_text()


@pytest.mark.usefixtures("hearing")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_stopped_before_its_score_is_scored_when_it_goes_on(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also by the command that began it, whose images its last round went beyond."""

    def interrupt(*_: object, **__: object) -> None:
        signal.raise_signal(number)

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("sparring.training.playing.evaluate", interrupt)
        with pytest.raises(Interrupted, match=f"score it with: sparring train --resume --out {out}$") as stopped:
            train(gan(width=8), "ring8", images=1000, out=out, threads=1, progress="lines")
    assert stopped.value.exit_code == 128 + number
    assert 'class="state finished"' in (out / "report.html").read_text()
    assert not any("scores" in record for record in Run(out).records())
    train(images=1000, out=out, resume=True, threads=1, progress="lines")
    assert Run(out).checkpoint.seen > 1000
    assert [score["name"] for score in Run(out).records()[-1]["scores"]] == ["fid", "kid"]
    assert "has already seen" not in capsys.readouterr().err
    train(images=1000, out=out, resume=True, threads=1, progress="lines")
    assert "has already seen" in capsys.readouterr().err
    with pytest.raises(UsageError, match="a larger total"):
        train(images=800, out=out, resume=True, threads=1)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"recipe": "photos/"}, "'photos/' is no recipe; give sparring.recipes.dcgan"),
        ({"recipe": gan}, "is no recipe"),
        ({"data": np.zeros((9, 8, 8), np.uint8)}, "a ndarray is no place of images"),
        ({"size": (3, 8, 8)}, "size (3, 8, 8) cannot be"),
        ({"size": "64"}, "size '64' cannot be"),
    ],
)
def test_what_is_easily_mistaken_in_python_gets_a_sentence(wish: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        train(**wish, out=tmp_path / "run", images=100)
    assert not (tmp_path / "run").exists()


def test_a_run_that_diverged_is_not_reported_as_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparring.engine.state.State.not_finite", lambda state: "a weight" if state.seen else "")
    with pytest.raises(DivergedError, match="a weight is not finite"):
        train(gan(width=8), "ring8", images=1000, out=tmp_path, threads=1, progress="none")
    assert "diverged" in Run(tmp_path).records()[-1]
    assert 'class="state diverged"' in (tmp_path / "report.html").read_text()


def test_a_lost_terminal_loses_no_training(data: Path, whole: Path, tmp_path: Path) -> None:
    """Hung up on, with nobody left to read what it says, it stops as it always does."""
    out = tmp_path / "run"
    process = start("train", data, *TRAIN, "--out", out)
    assert process.stderr is not None
    wait_for_checkpoint(out, process, -1)
    process.stderr.close()
    time.sleep(0.1)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert 'class="state stopped"' in (out / "report.html").read_text()  # written after the checkpoint
    done = run("train", "--resume", "--out", out, "--threads", 1, "--progress", "none")
    assert done.returncode == 0, done.stderr
    assert newest_name(out) == newest_name(whole)


@pytest.mark.parametrize("style", ["bar", "lines"])
@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO])
def test_what_nobody_can_read_is_no_error(style: ProgressStyle, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    lost = io.StringIO()
    monkeypatch.setattr(lost, "write", refuse)
    monkeypatch.setattr(lost, "flush", refuse)
    monkeypatch.setattr(lost, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", lost)
    monkeypatch.setattr(os, "write", refuse)
    with display(style) as screen:
        screen.say("a sentence")
        screen.show({"seen": 10}, until=20)
        StopRequest().ask(signal.SIGINT)
    _say("a sentence of many trainings")


def test_a_terminal_that_hangs_up_twice_does_not_insist(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    for first in (signal.SIGHUP, signal.SIGTERM):
        request = StopRequest()
        for number in (first, signal.SIGHUP, signal.SIGHUP):
            request.ask(number)
        assert (request.signal, ended) == (first, [])
    request.ask(signal.SIGINT)
    assert ended == [130]


def test_a_second_trainer_is_refused_and_changes_nothing(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = start("train", data, *TRAIN, "--out", out)
    wait_for_checkpoint(out, first, -1)
    second = run("train", "--resume", "--out", out)
    assert second.returncode == 6
    assert "another process is training" in second.stderr
    first.kill()
    first.communicate()


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_used(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(whole), str(out)], check=True)
    newest, *_ = checkpoints(out / "checkpoints")
    content = bytearray(newest.path.read_bytes())
    content[len(content) // 2] ^= 1
    newest.path.write_bytes(bytes(content))
    done = run("train", "--resume", "--out", out, "--threads", 1, "--progress", "none")
    assert done.returncode == 0, done.stderr
    assert newest_name(out) == newest_name(whole)
    assert newest.path.with_suffix(".bad").exists()
    for checkpoint in checkpoints(out / "checkpoints"):
        os.truncate(checkpoint.path, 100)
    hopeless = run("train", "--resume", "--out", out)
    assert hopeless.returncode == 4
    assert "truncated or altered" in hopeless.stderr


def test_newer_and_foreign_runs_are_refused(whole: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(whole), str(out)], check=True)
    card = json.loads((out / "recipe.json").read_text())
    (out / "recipe.json").write_text(json.dumps({**card, "format": 99}))
    newer = run("train", "--resume", "--out", out)
    assert newer.returncode == 4
    assert "update sparring" in newer.stderr
    for damage in ({"shape": None}, {"shape": [1, 2]}, {"held_out": "x"}, {"held_out": [10**9]}, {"source": 5}):
        (out / "recipe.json").write_text(json.dumps({**card, "data": {**card["data"], **damage}}))
        with pytest.raises(FileUnusableError, match="is not the record of a run"):
            assert Run(out).card
    (out / "recipe.json").write_text("{")
    assert run("train", "--resume", "--out", out).returncode == 4
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "a.txt").write_text("mine")
    assert run("train", data, *TRAIN, "--out", foreign).returncode == 2
    assert [path.name for path in foreign.iterdir()] == ["a.txt"]


def test_a_run_whose_name_is_no_text_is_not_begun(tmp_path: Path) -> None:
    done = run("train", "--out", tmp_path / os.fsdecode(b"caf\xe9"))
    assert (done.returncode, done.stderr.endswith("is not UTF-8; choose another --out\n")) == (2, True), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_resume_names_what_is_not_the_same(whole: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.npz"
    np.savez(other, images=np.zeros((300, 8, 8), np.uint8))
    for words, code, said in [
        ([other], 3, "no longer holds"),
        (["--recipe", "dcgan"], 2, "was begun with gan"),
        (["--recipe", "gan", "--width", "9"], 2, "other parameters"),
        (["--size", "16"], 2, "8x8 pixels"),
    ]:
        done = run("train", *words, "--resume", "--out", whole)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
        assert "Traceback" not in done.stderr


NONSENSE = [
    (["train", "--recipe", "dcgn"], 2, "did you mean 'dcgan'"),
    (["train", "--recipe", ""], 2, "no recipe ''; there are: acgan"),
    (["compare", "gan", "dcgan", "--minutes", "1", "--images", ""], 2, "no number of images"),
    (["train", "--recipe", "dcgan", "--size", "100", "--images", "100"], 2, "96x96 and 112x112"),
    (["train", "--recipe", "gan", "--batch", "0"], 2, "batch of 0"),
    (["train", "--recipe", "gan", "--width", "-3"], 2, "cannot be built"),
    (["train", "--recipe", "gan", "--rate", "-1"], 2, "learning rate of -1"),
    (["train", "--recipe", "gan", "--rate", "nan"], 2, "rate of gan cannot be nan"),
    (["train", "--recipe", "gan", "--generator-batch", "inf"], 2, "inf"),
    (["train", "--recipe", "gan", "--fakes-per-real", "nan"], 2, "fakes"),
    (["train", "--recipe", "gan", "--batch-norm", "--batch", "1"], 2, "of which a turn has one; use a larger batch"),
    (["train", "--recipe", "gan", "--width", "16.7"], 2, "unable to convert"),
    (["sample", "runs/a", "-n", "2.5"], 2, "unable to convert"),
    (["train", "--recipe", "progan", "--most", "2000000", "--images", "100"], 2, "could not be read again"),
    (["train", "--recipe", "gan", "--dropout", "2"], 2, "cannot be built"),
    (["train", "--recipe", "gan", "--z-dim", "0"], 2, "z of 0 numbers cannot be"),
    (["train", "--recipe", "dcgan", "--beta1", "1"], 2, "beta of 1"),
    (["train", "--recipe", "quick", "--every", "0"], 2, "every 0 rounds"),
    (["train", "--recipe", "quick", "--gamma", "nan"], 2, "gamma of quick cannot be nan"),
    (["train", "--recipe", "quick", "--rate", "-1"], 2, "learning rate of -1"),
    (["train", "--recipe", "r3gan", "--batch", "0"], 2, "batch of 0"),
    (["train", "ring8", "--size", "64"], 2, "points"),
    (["train", "--size", "1"], 2, "1x1"),
    (["train", "--recipe", "math:pi"], 2, "no function"),
    (["train", "--recipe", "os:getcwd"], 2, "not a Recipe"),
    (["train", "--recipe", "a..b:c"], 2, "cannot be imported"),
    (["train", "--minutes", "-1"], 2, "-1.0 minutes"),
    (["train", "--minutes", "nan"], 2, "nan minutes"),
    (["train", "--images", "-5"], 2, "no number of images"),
    (["train", "--images", "many"], 2, "no number of images"),
    (["train", "--images", "1,5M"], 2, "'1,5M' is no number of images"),
    (["train", "--images", "5", "--minutes", "5"], 2, "give one of them"),
    (["train", "--size", "0"], 2, "0x0"),
    (["train", "--size", "9x9x9"], 2, "no size"),
    (["train", "--seed", "-1"], 2, "seed -1"),
    (["train", "--threads", "0"], 2, "0 threads"),
    (["train", "--device", "tpu9"], 2, "no device"),
    (["train", "--channels", "7"], 2, "channels"),
    (["train", "no-such-folder"], 3, "no-such-folder"),
    (["train", "--resume"], 2, "--out"),
    (["train", "--resume", "--out", "no-such-run"], 2, "no run"),
    (["train", "--recipe", "no.such:recipe"], 2, "cannot be imported"),
    (["tran"], 2, "train"),
    (["modes", "ring8", "r3gan"], 2, "'r3gan' says nothing; recipes are named by --recipes"),
    (["sample", "no-such-run"], 4, "no-such-run"),
    (["evaluate", "no-such-run"], 3, "no-such-run"),
    (["export", "no-such-run"], 4, "no-such-run"),
    (["export", "/"], 4, "/ is not a run"),
]


@pytest.mark.parametrize(("words", "code", "said"), NONSENSE, ids=[" ".join(words) for words, _, _ in NONSENSE])
def test_nonsense_gets_one_sentence(
    words: list[str],
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from sparring.cli import main

    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(words)
    err = capsys.readouterr().err
    assert stopped.value.code == code, err
    assert said in err
    assert len([line for line in err.splitlines() if line.startswith("sparring:")]) == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("words", [["recipes"], ["recipes", "--json"], ["sample", "--help"]], ids=" ".join)
@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_reader_that_leaves_is_no_error_and_a_full_disk_is(words: list[str], buffered: str) -> None:
    program, alone = [sys.executable, "-m", "sparring", *words], {**os.environ, "PYTHONUNBUFFERED": buffered}
    reader, writer = os.pipe()
    os.close(reader)
    left = subprocess.run(program, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, env=alone)
    os.close(writer)
    assert (left.returncode, left.stderr) == (0, "")
    if not os.path.exists("/dev/full"):
        return
    with open("/dev/full", "w") as full:
        refused = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=alone)
    assert refused.returncode == 74
    assert refused.stderr.startswith("sparring: a file cannot be used (No space left on device)")
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_words_that_the_terminal_has_no_letters_for_are_spelt(encoding: str) -> None:
    """A name in another alphabet, and one that is no text at all."""
    code = (
        "import os; from sparring.cli import commands\n"
        "@commands.app.command\n"
        "def tell(): commands.answer({}, False, 'stille W\u00e4lder ' + os.fsdecode(b'\\xff'))\n"
        "commands.main(['tell'])"
    )
    alone = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, env=alone)
    assert done.returncode == 0, done.stderr
    assert b"\\udcff" in done.stdout


def test_ctrl_c_says_that_it_stopped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from sparring.cli import commands

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sparring.share.load.load", interrupt)
    with pytest.raises(SystemExit) as stopped:
        commands.main(["sample", "runs/a"])
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "sparring: stopped\n"


@pytest.mark.parametrize("text", ["def broken(:\n", "1 / 0\n", "raise KeyError('x')\n", "raise SystemExit\n"])
def test_a_module_that_cannot_be_imported_is_named(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sparring.cli import main

    monkeypatch.chdir(tmp_path)
    name = f"own{abs(hash(text))}"
    (tmp_path / f"{name}.py").write_text(text)
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--recipe", f"{name}:recipe"])
    assert stopped.value.code == 2
    assert f"'{name}:recipe' cannot be imported (" in capsys.readouterr().err


def test_every_flag_is_explained() -> None:
    """In `--help` of each command; a parameter that the docstring does not describe would stand there alone."""
    from sparring.cli.commands import app
    from sparring.cli.train_command import train_command

    commands = {name: app[name] for name in app if not name.startswith("-") and name != "train"}
    if "train" in app:
        del app["train"]
    app.command(train_command(["train"]), name="train")
    arguments = [
        argument
        for command in (*commands.values(), app["train"])
        for argument in command.assemble_argument_collection(parse_docstring=True)
    ]
    del app["train"]
    assert len(arguments) > 80
    assert [argument.name for argument in arguments if not argument.parameter.help] == []


def test_help_says_which_class_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    """All in turn by `sample` alone; what walks stays in one."""
    from sparring.cli import main

    for command in ("sample", "interpolate", "mix", "directions", "project"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        said = " ".join(capsys.readouterr().out.replace("\u2502", " ").split())
        assert ("by default all in turn" in said) == (command == "sample"), said
        assert "by name or number" in said


def test_help_is_immediate() -> None:
    """No torch for --help."""
    code = (
        "import sys; from sparring.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def test_a_recipe_that_hands_settings_on_has_its_own_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sparring.cli import main

    monkeypatch.chdir(tmp_path)
    text = (
        "import sparring\ndef mine(*rest, width: int = 8, **settings):\n    return sparring.recipes.gan(width=width)\n"
    )
    (tmp_path / "thin_wrapper.py").write_text(text)
    with pytest.raises(SystemExit) as ended:
        main(["train", "ring8", "--recipe", "thin_wrapper:mine", "--width", "4", "--images", "64", "--out", "a"])
    assert ended.value.code == 0
    with pytest.raises(UsageError, match="no parameter or change of thin_wrapper:mine, 'settings'"):
        recipe_named("thin_wrapper:mine+settings=3")
