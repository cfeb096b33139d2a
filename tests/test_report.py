"""The report: complete, safe to open whatever the run is called, and whole for runs that have barely begun."""

import base64
import hashlib
import html.parser
import itertools
import json
import math
import os
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from sparring import recipes
from sparring.engine.rundir import Run
from sparring.errors import FileUnusableError
from sparring.report import write_report
from sparring.report.charts import charts, table
from sparring.report.film import film, thin
from sparring.report.numbers import compact, duration, percent, short
from sparring.report.plot import Chart, Series, decimate, draw, log_ticks, ticks

HOSTILE = "<img src=x onerror=alert(1)>\"'&</script></style><svg/onload=alert(2)>"

TAGS = {
    *("html", "head", "meta", "title", "link", "style", "body", "header", "main", "div", "section", "aside", "footer"),
    *("h1", "h2", "h3", "p", "span", "b", "small", "a", "cite", "code", "img", "ul", "ol", "li", "dl", "dt", "dd"),
    *("svg", "defs", "clippath", "desc", "g", "circle", "rect", "line", "path", "text", "figure", "figcaption"),
    *(
        "details",
        "summary",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "button",
        "input",
        "output",
        "script",
    ),
}


class Reader(html.parser.HTMLParser):
    """Collects tags, attributes and the text of style, script and everything else."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.words: list[str] = []
        self._inside = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in ("style", "script"):
            self.texts[self._inside] = self.texts.get(self._inside, "") + data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def records(count: int, budget: int) -> list[dict[str, float]]:
    """A log as the engine writes it, with a plausible story."""
    made = []
    for k in range(1, count + 1):
        share = k / count
        made.append({
            "seen": budget * k // count, "round": k, "seconds": 0.5 * k,
            "images_per_second": 200.0 - share, "matrix_share": 0.2,
            "discriminator/adversarial": 1.386 - 0.5 * share, "generator/adversarial": 0.7 + share,
            "discriminator/r1": 0.1 * share + 0.01,
            "discriminator/gradient": 2 - share, "generator/gradient": 1 + share,
            "real_logit": share, "fake_logit": -share, "right": 0.5 + 0.2 * share,
            "real_probability": 0.5 + share / 4, "fake_probability": 0.5 - share / 4,
        })  # fmt: skip
    return made


def make_run(
    folder: Path, *, points: bool = False, log: int = 50, grids: int = 5, pixels: int = 8, name: str = "digits"
) -> Run:
    """A run folder with a bound recipe, a log and grids, none of which needed training."""
    budget = 10_000
    shape = (2, 1, 1) if points else (3, pixels, pixels)
    recipe = recipes.gan() if points else recipes.r3gan(width=8, blocks=1) if pixels >= 16 else recipes.gan(width=8)
    run = Run(folder)
    with run.locked():
        run.begin(recipe.bind(shape, 2, images=900, budget=budget), {
            "sparring": "0.1.0", "seed": 7, "command": f"sparring train {name}", "machine": {"device": name},
            "data": {"source": name, "name": name, "fingerprint": "ab" * 16, "shape": list(shape), "channels": "auto",
                     "classes": [name, "b"], "images": 1000, "held_out": list(range(100))},
        })  # fmt: skip
        for record in records(log, budget):
            run.append(record)
        source = torch.Generator().manual_seed(0)
        for k in range(grids):
            images = torch.randn(64, *shape, generator=source)
            seen = budget * k // max(grids - 1, 1)
            run.keep_grid(seen, images if points else images.mul(60).add(128).clamp(0, 255).to(torch.uint8))
    return run


def read(run: Run, **how: str) -> tuple[Reader, str]:
    path = write_report(run, **how)
    assert path == run.path / "report.html"
    page = path.read_text(encoding="utf-8")
    return Reader(page), page


def test_it_says_what_the_run_was_and_how_to_go_on(tmp_path):
    run = make_run(tmp_path / "my run", pixels=16)
    run.append({"seen": 10_000, "scores": [{
        "name": "fid", "value": 14.2, "low": 13.5, "high": 15.0, "higher_is_better": False,
        "protocol": {"real_images": 900},
    }]})  # fmt: skip
    reader, page = read(run)
    for words in (
        "r3gan", "digits", "finished", "FID", "14.2", "13.5 to 15, lower is better", "real images", "The GAN is dead",
        "16 × 16 pixels, RGB", "100, never trained on", "ab" * 16, "0.001 → 0.00025 on a cosine over 10k images",
        "every round", "adversarial; r1 × ", "How often D is right", "Gradient norms", "View as table",
        f"sparring sample '{run.path}' -n 64", f"sparring train --resume --out '{run.path}' --images 20000",
    ):  # fmt: skip
        assert words in reader.text, words
    assert sum(tag == "figure" for tag, _ in reader.tags) == 7
    assert page.count("data:image/png") == 5


def test_names_are_text_and_nothing_else(tmp_path):
    run = make_run(tmp_path / "<b>run", name=HOSTILE)
    run.append({"seen": 10_000, f"discriminator/{HOSTILE}": 1.0, "scores": [
        {"name": HOSTILE, "value": 1.0, "low": None, "protocol": {HOSTILE: HOSTILE}},
    ]})  # fmt: skip
    reader, page = read(run)
    assert {tag for tag, _ in reader.tags} <= TAGS
    assert not [
        name for _, attributes in reader.tags for name in attributes if name.startswith("on") or name == "style"
    ]
    assert HOSTILE in reader.text
    assert page.count("<script>") == page.count("</script>") == page.count("<style>") == page.count("</style>") == 1
    assert all(attributes["src"].startswith("data:image/") for _, attributes in reader.tags if attributes.get("src"))


def test_a_name_that_is_no_text_is_spelt(tmp_path):
    reader, _ = read(make_run(tmp_path, name=os.fsdecode(b"caf\xe9")))
    assert r"caf\udce9" in reader.text


def test_a_recipes_name_is_text_in_a_notebook_too(tmp_path):
    run = make_run(tmp_path)
    card = json.loads((tmp_path / "recipe.json").read_text())
    card["recipe"]["with"]["recipe"]["with"]["name"] = HOSTILE
    (tmp_path / "recipe.json").write_text(json.dumps(card))
    shown = Reader(Run(run.path)._repr_html_())
    assert [tag for tag, _ in shown.tags] == ["p", "b", "img"]
    assert HOSTILE in shown.text


def test_a_papers_link_is_a_link_to_the_web_or_none(tmp_path):
    run = make_run(tmp_path)
    card = json.loads((tmp_path / "recipe.json").read_text())
    card["recipe"]["with"]["recipe"]["with"]["papers"][0]["with"]["url"] = "javascript:alert(1)"
    (tmp_path / "recipe.json").write_text(json.dumps(card))
    reader, page = read(run)
    assert not [a for tag, a in reader.tags if tag == "a"]
    assert "javascript:" not in page


def test_nothing_comes_from_elsewhere(tmp_path):
    reader, page = read(make_run(tmp_path))
    links = [a[key] for _, a in reader.tags for key in ("src", "href", "action", "srcset", "poster") if a.get(key)]
    assert [link for link in links if not link.startswith("data:image/")] == ["https://arxiv.org/abs/1406.2661"]
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_the_policy_admits_the_pages_own_style_and_script_only(tmp_path):
    reader, page = read(make_run(tmp_path))
    policy = next(a["content"] for _, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy")
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    assert rules["default-src"] == ["'none'"]
    assert rules["img-src"] == ["data:"]
    for kind in ("style", "script"):
        content = re.search(f"<{kind}>(.*?)</{kind}>", page, re.S)[1]
        assert content == reader.texts[kind]
        assert len(content) > 1000
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[f"{kind}-src"] == [f"'sha256-{digest}'"]


@pytest.mark.parametrize(("log", "grids"), [(0, 0), (0, 1), (1, 1), (2, 2)])
def test_a_run_that_has_just_begun_has_a_report(tmp_path, log, grids):
    run = make_run(tmp_path, log=0, grids=grids)
    for record in records(100, 10_000)[:log]:
        run.append(record)
    reader, _ = read(run)
    assert ("No numbers yet" in reader.text) == (log == 0)
    assert ("No pictures yet" in reader.text) == (grids == 0)
    assert ("train to the end" in reader.text) == (grids < 2)
    assert ("training" in reader.text.split()) == (grids < 2)  # the second grid lies at the end of the budget


def test_standing_is_said_or_judged(tmp_path):
    run = make_run(tmp_path, grids=1, log=0)
    assert any(a.get("class") == "state training" for _, a in read(run)[0].tags)
    assert any(a.get("class") == "state stopped" for _, a in read(run, standing="stopped")[0].tags)


def test_points_have_a_film_too(tmp_path):
    reader, _ = read(make_run(tmp_path, points=True))
    assert "points of the plane" in reader.text
    assert any("points" in (a.get("class") or "").split() for _, a in reader.tags)
    assert not any("crisp" in (a.get("class") or "").split() for _, a in reader.tags)


def test_grids_that_are_no_points_are_not_turned_to_their_negative(tmp_path):
    """Wider than half the stage, whose pixels are not shown as squares either."""
    reader, _ = read(make_run(tmp_path, pixels=48))
    assert not any({"points", "crisp"} & set((a.get("class") or "").split()) for _, a in reader.tags)


def test_commands_can_be_typed_as_they_are(tmp_path):
    """Beyond the budget, where it was seen twice already, and with the modules that a run's recipe names."""
    run = make_run(tmp_path)
    run.append({"seen": 20_000, "round": 2})
    run.trust = ("own.parts",)
    text = read(run)[0].text
    assert f"sparring train --resume --out {tmp_path} --images 40000 --trust own.parts" in text
    assert text.count("--trust own.parts") == 5


def test_without_a_script_first_middle_and_last_are_visible(tmp_path):
    reader, _ = read(make_run(tmp_path, grids=7))
    keys = [a["data-seen"] for tag, a in reader.tags if tag == "li" and a.get("class") == "key"]
    assert keys == ["0", "5000", "10000"]
    assert all("hidden" in a for _, a in reader.tags if a.get("class") in ("stage", "transport", "moment"))


def test_the_film_is_thinned_to_its_limit_with_first_and_last(tmp_path):
    run = make_run(tmp_path, grids=9, pixels=16)
    whole = sum(len(frame.url) for frame in film(run).frames)
    short_film = film(run, limit=whole // 2)
    assert sum(len(frame.url) for frame in short_film.frames) <= whole // 2
    assert [short_film.frames[0].seen, short_film.frames[-1].seen] == [0, 10_000]
    assert "of 9 grids" in short_film.note


def test_heavy_grids_are_compressed(tmp_path):
    run = make_run(tmp_path, grids=2, pixels=64)
    moving = film(run)
    assert max(path.stat().st_size for _, path in run.grids()) > 400_000  # noise does not compress
    assert all(frame.url.startswith("data:image/webp") for frame in moving.frames)
    assert "exact pictures" in moving.note


def test_a_damaged_grid_is_left_out(tmp_path):
    run = make_run(tmp_path, grids=3)
    run.grids()[1][1].write_bytes(b"not a picture")
    assert len(film(run).frames) == 2


def test_a_grid_that_pillow_takes_for_a_bomb_is_left_out(tmp_path, monkeypatch):
    """64 images of 1,700 pixels are one; such a run goes on, and has a report."""
    run = make_run(tmp_path, grids=3)
    with Image.open(run.grids()[0][1]) as picture:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", picture.width * picture.height // 3)
    assert film(run).frames == ()


def test_thinning_keeps_the_ends_whatever_they_cost():
    assert thin([], 10) == []
    assert thin([5], 1) == [0]
    assert thin([5, 5, 5], 1) == [0, 2]
    assert thin([1] * 9, 100) == list(range(9))


@pytest.mark.parametrize(
    "damage",
    [
        *({"seen": seen} for seen in ("high", None, [1])),
        *({"seen": 5, "seconds": seconds} for seconds in ("high", None, -(10**400))),
        *({"seen": 5, "matrix_share": "high"}, {"resumed_at": "late"}, {"resumed_at": [1]}),
    ],
    ids=lambda damage: ascii(damage)[:30],
)
def test_a_damaged_line_of_the_log_spoils_no_report(tmp_path, damage):
    run = make_run(tmp_path, log=20)
    run.append(damage)
    run.append({"resumed_at": 9_000})
    run.append(records(20, 10_000)[-1])
    reader, _ = read(run)
    assert "How often D is right" in reader.text
    assert "10 s" in reader.text


@pytest.mark.parametrize("low, high", [(0, 1), (-3.2, 7.9), (0, 60_032), (1e-7, 3e-7), (99.5, 100.5)])  # noqa: PT006
def test_ticks_are_round_and_inside(low, high):
    found = ticks(low, high)
    assert 3 <= len(found) <= 9
    assert low <= found[0] and found[-1] <= high  # noqa: PT018
    step = (found[-1] - found[0]) / (len(found) - 1)
    assert round(step / 10 ** math.floor(math.log10(step) + 1e-6), 6) in (1, 2, 5)


def test_log_ticks_are_inside_and_few():
    for low, high in [(1e-8, 1e5), (0.3, 0.9), (2, 300)]:
        found = log_ticks(low, high)
        assert 1 <= len(found) <= 8
        assert low * 0.999 <= found[0] <= found[-1] <= high * 1.001


def test_decimation_keeps_extremes_and_ends():
    points = [(float(x), math.sin(x)) for x in range(10_000)]
    points[1234] = (1234.0, 99.0)
    points[8765] = (8765.0, -99.0)
    kept = decimate(points)
    assert len(kept) <= 600
    assert {points[0], points[1234], points[8765], points[-1]} <= set(kept)
    assert kept == sorted(kept)


def test_a_drawing_stays_inside_its_frame_and_says_what_does_not():
    points = tuple((float(x), 1.0 + (x % 7) / 10) for x in range(200))
    spiked = ((0.0, 500.0), *points[1:])
    drawing = draw(
        Chart("a", "A", "", (Series("D", "d", spiked), Series("G", "g", points))), until=200, moments=[-1, 10]
    )
    assert "500" in drawing.note
    assert all(drawing.top <= y <= drawing.bottom for y, _ in drawing.y_ticks)
    assert abs(drawing.lines[0].label_y - drawing.lines[1].label_y) >= 15
    assert drawing.lines[0].values == "–|1.3"  # nothing before the first point; 10 % 7 is 3


def test_a_chart_of_equal_values_and_of_one_value_can_be_drawn():
    for axis in ("linear", "zero", "log", "share"):
        for values in ((0.5,), (0.5, 0.5, 0.5), (1.3862943649291992, math.nextafter(1.3862943649291992, 2))):
            series = Series("x", "d", tuple(enumerate(values)))
            assert draw(Chart("a", "A", "", (series,), axis), until=1).y_ticks


@pytest.mark.parametrize(
    ("low", "high"), [(312.1, 312.4), (1234.1, 1235.2), (1.3861, 1.3863), (999.7, 1000.2), (-1e-5, 1e-5), (0, 70_000)]
)
def test_the_words_at_the_ticks_are_the_values_of_the_ticks(low, high):
    chart = Chart("a", "A", "", (Series("FID", "d", ((0.0, low), (1.0, high))),))
    drawing = draw(chart, until=1)
    values = [float(word.replace(",", "").replace("−", "-")) for _, word in drawing.y_ticks]
    steps = [b - a for a, b in itertools.pairwise(values)]
    assert len(steps) > 1
    assert steps == pytest.approx([steps[0]] * len(steps))
    assert steps[0] > 0
    heights = [drawing.y_ticks[0][0] - y for y, _ in drawing.y_ticks]
    assert heights == pytest.approx([k * heights[1] for k in range(len(heights))], abs=0.6)


def test_charts_survive_a_foreign_log():
    log = [
        {"seen": 1, "right": "high", "real_logit": None, "generator/adversarial": math.nan, "scores": "good"},
        {"seen": 2, "right": 0.5, "generator/adversarial": math.inf, "generator/gradient": 0.0},
        {"right": 0.7},
        {"resumed_at": 2},
    ]
    assert [chart.key for chart in charts(log)] == ["right"]
    assert charts([]) == []


def test_reference_lines_belong_to_logistic_losses():
    log = records(20, 100)
    losses = charts(log)[0]
    assert [round(value, 3) for value, _ in losses.references] == [1.386, 0.693]  # log 4 and log 2
    assert "0.886 (falling) for D and 1.7 (rising) for G" in losses.sentence
    for record in log:
        del record["real_probability"], record["fake_probability"]
    assert charts(log)[0].references == ()
    assert "probabilities" not in [chart.key for chart in charts(log)]


def test_other_players_and_repeated_scores_have_charts():
    log = [
        {
            "seen": k,
            "generator_a/adversarial": 1.0,
            "generator_b/cycle": 2.0,
            "scores": [{"name": "kid", "value": 1 / k}],
        }
        for k in (1, 2, 3)
    ]
    made = {chart.key: chart for chart in charts(log)}
    assert [series.name for series in made["losses"].series] == ["generator_a"]
    assert list(made) == ["losses", "terms", "score-0"]
    assert [series.name for series in made["terms"].series] == ["cycle"]
    assert made["score-0"].series[0].points == ((1.0, 1.0), (2.0, 0.5), (3.0, 1 / 3))


def test_judges_and_makers_have_the_colours_of_d_and_g():
    log = [{"seen": 1, "a_to_b+b_to_a/adversarial": 1.0, "judge_a+judge_b/adversarial": 0.5, "codec/gradient": 1.0}]
    losses, gradients = charts(log)
    assert [(s.name, s.tone) for s in losses.series] == [("a_to_b+b_to_a", "g"), ("judge_a+judge_b", "d")]
    assert [(s.name, s.tone) for s in gradients.series] == [("codec", "g")]


def test_players_that_move_at_once_have_one_loss_and_no_reference():
    log = [{"seen": 1, "discriminator+generator/adversarial": 2.0, "real_probability": 0.5, "fake_probability": 0.5}]
    losses = charts(log)[0]
    assert ([s.name for s in losses.series], losses.references) == (["D+G"], ())


def test_where_logits_have_no_boundary_right_is_a_share_of_pairs(tmp_path):
    for pixels, sentence in ((8, "D last judged 70 %"), (16, "D last scored a real image above a fake one in 70 %")):
        reader, _ = read(make_run(tmp_path / str(pixels), pixels=pixels))
        assert sentence in reader.text


def test_every_number_that_a_game_notes_has_a_chart():
    made = charts([{"seen": k, "augmentation": k / 10, "codes_used": 0.5, "round": k, "seconds": 1.0} for k in (1, 2)])
    assert [(chart.title, chart.sentence) for chart in made] == [
        ("Augmentation", "Last 0.2."),
        ("Codes used", "Last 0.5."),
    ]


def test_what_was_not_finite_breaks_a_line_and_is_said():
    values = [1.0, 2.0, math.nan, 3.0, math.inf, 4.0, 5.0]
    chart = charts([{"seen": k, "discriminator/gradient": value} for k, value in enumerate(values)])[0]
    drawing = draw(chart, until=6)
    assert drawing.note == "2 values of D were not finite."
    pieces = drawing.lines[0].path.split("M")[1:]
    assert [piece.count(",") for piece in pieces] == [2, 1, 2]
    assert [piece.endswith("h0") for piece in pieces] == [False, True, False]


def test_an_axis_of_any_logarithmic_range_has_ticks():
    for low, high in ((2.1, 4.8), (0.76, 1.47), (1e-4, 1e3), (3.0, 3.1)):
        chart = Chart("key", "title", "", (Series("D", "d", ((0.0, low), (1.0, high))),), "log")
        assert len(draw(chart, until=1).y_ticks) >= 3, (low, high)


def test_long_names_leave_room_for_the_lines():
    chart = Chart("key", "title", "", (Series("x" * 70, "d", ((0.0, 1.0), (1.0, 2.0))),))
    drawing = draw(chart, until=1)
    assert drawing.right - drawing.left > drawing.width / 4
    assert drawing.lines[0].name == "x" * 27 + "…"


def test_a_spike_outside_the_frame_has_no_dot_and_a_point_inside_no_note():
    spike = tuple((float(k), 1000.0 if k == 3 else 1.0 + k % 2) for k in range(100))
    heights = draw(Chart("key", "title", "", (Series("D", "d", spike),)), until=99, moments=range(5)).lines[0].heights
    assert [bool(height) for height in heights.split("|")] == [True, True, True, False, True]
    slow = tuple((float(k), 3.0 if k == 3 else 1000.0 + k % 2) for k in range(100))
    assert draw(Chart("key", "title", "", (Series("speed", "other", slow),), "zero"), until=99).note == ""


def test_a_diverged_run_says_so_and_is_not_told_to_go_on_alike(tmp_path):
    run = make_run(tmp_path)
    run.append({"seen": 9_000, "diverged": "training diverged: the adversarial term is nan. Lower the learning rate"})
    reader, _ = read(run, standing="stopped")
    assert any(a.get("class") == "state diverged" for _, a in reader.tags)
    assert "training diverged: the adversarial term is nan. Lower the learning rate." in reader.text
    assert "--resume" not in reader.text
    run.append({"resumed_at": 8_000})
    reader, _ = read(run, standing="stopped")
    assert "training diverged" not in reader.text


def test_a_score_says_by_what_of_what_and_when(tmp_path):
    run = make_run(tmp_path)
    run.append({"seen": 9_000, "scores": [{
        "name": "fid", "value": 14.2, "low": 13.5, "high": 15.0, "higher_is_better": False,
        "protocol": {"features": "grey28", "split": "held out from training"},
    }]})  # fmt: skip
    words = "13.5 to 15, lower is better, by grey28, held out from training"
    assert f"{words}, at 9k images" in read(run)[0].text
    run.append({"seen": 12_000, "right": 0.5})
    assert "10k were planned at first" in read(run)[0].text


def test_a_table_has_at_most_thirty_rows_with_the_first_and_the_last():
    chart = charts(records(400, 4000))[0]
    head, rows = table(chart)
    assert head == ["images seen", "D", "G"]
    assert len(rows) == 30
    assert [rows[0][0], rows[-1][0]] == ["10", "4,000"]


def test_numbers_are_written_for_people():
    assert [short(x) for x in (math.nan, -math.inf, 99.96, 1e12)] == ["not a number", "−∞", "100", "1e12"]
    assert [duration(s) for s in (0, 60, 3600, 59.6)] == ["0 s", "1 min", "1 h", "1 min"]
    assert [percent(x) for x in (0, 0.5, 0.9996)] == ["0 %", "50 %", "100 %"]
    assert compact(999_400) == "999k"


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(FileUnusableError, match="is not a run"):
        write_report(Run(tmp_path))
