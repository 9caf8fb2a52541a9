"""The network in the browser: its numbers are Python's, and a stranger can draw a digit and see it finished."""

import gzip

import alive
import numpy as np
import pytest
import torch
from browser import CHROMIUM, HOW_TO_INSTALL, PATIENCE, browser
from fits import misfits
from look_at_alive import page_alone

from diffusion_lab.evaluation.judge import load_judge, read_digits
from diffusion_lab.sampling.chain import last, spaced_in_log_snr
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.sampling.guidance import guided
from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.view.canvas import EXAMPLES, as_digit
from diffusion_lab.weights.pretrained import load_network, load_pretrained

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason=HOW_TO_INSTALL)]

SAID, PAD, SEEN = ".alive-said", ".canvas-pad", ".alive-column > .alive-picture"
PIXELS = "node => [...node.getContext('2d').getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 === 0)"


@pytest.fixture(scope="module")
def chromium(without_katex):
    if without_katex:
        pytest.skip(without_katex)
    with browser() as chromium:
        yield chromium


# The numbers

READY = "const predict = network.unet(network.read(window.WEIGHTS)), cosine = network.cosine(T);"


@pytest.fixture(scope="module")
def lab(chromium):
    """A page that knows the names of the script."""
    page = chromium.new_page()
    for content in (alive.weights(), alive.script(), READY):
        page.add_script_tag(content=content)
    yield page
    page.close()


def noise(n, seed):
    return torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(seed))


def numbers(x):
    return x.flatten().tolist()


def asked(lab, script, *arguments):
    """What a function of the page returns, called with arguments: pictures come as lists and go as arrays."""
    values = [numbers(argument) if torch.is_tensor(argument) else argument for argument in arguments]
    return torch.tensor(lab.evaluate(f"(given) => Array.from(({script})(...given))", values), dtype=torch.float64)


def distance(one, other):
    return (one.flatten() - other.flatten().double()).abs().max().item()


@pytest.mark.parametrize(("t", "label"), [(1, None), (37, 0), (500, 3), (999, 9), (1000, None)])
def test_the_network_says_what_python_says(lab, t, label):
    x_t = noise(1, seed=t)
    with torch.no_grad():
        expected = load_network()(x_t, torch.tensor([t]), label)
    answer = asked(lab, "(x, t, label) => predict(Float64Array.from(x), t, label)", x_t, t, label)
    assert distance(answer, expected) < 1e-4


def test_the_tables_and_the_times_are_those_of_the_course(lab):
    schedule = cosine()
    assert distance(asked(lab, "() => cosine.alphaBar"), schedule.alpha_bar) < 1e-14
    assert distance(asked(lab, "() => cosine.logSNR.slice(1)"), schedule.log_snr[1:]) < 1e-9
    for n in (1, 2, 10, 50, 1000):
        assert asked(lab, "(n) => network.spaced(cosine, n)", n).tolist() == spaced_in_log_snr(schedule, n).tolist()
    for start, n in ((800, 10), (10, 50), (3, 10), (20, 10)):
        times = asked(lab, "(n, start) => network.spaced(cosine, n, start)", n, start).tolist()
        assert len(times) == min(n, start)
        assert times[0] == start
        assert times == sorted(set(times), reverse=True)
        assert times[-1] >= 1


def test_a_drawing_under_noise_is_the_jump(lab):
    x_0, eps = torch.from_numpy(as_digit(EXAMPLES["a three"])), noise(1, seed=1)
    assert distance(asked(lab, "(x, eps) => network.noised(x, 700, eps, cosine)", x_0, eps),
                    q_sample(x_0, 700, eps, cosine())) < 1e-6


SAMPLE = """(x, label, weight, until, eta, fresh) => {
    const ask = network.denoiser(predict, cosine, label, weight, until), draw = () => Float64Array.from(fresh.shift());
    const given = [ask, cosine, Float64Array.from(x), network.spaced(cosine, 10)];
    return [...(eta === null ? network.dpmSolver(...given) : network.ddim(...given, eta, draw))].at(-1).x;
}"""


@pytest.mark.parametrize(("label", "weight", "until", "eta"), [
    (None, 0, 1000, 0), (4, 0, 1000, 0), (4, 2, 800, 0), (7, 1, 1000, 1), (2, 0, 1000, 0.5), (4, 1, 800, None)])
def test_ten_steps_from_the_same_noise_end_in_the_same_picture(lab, label, weight, until, eta):
    x_T, denoiser = noise(1, seed=2), guided(load_pretrained(), weight, until)
    times, label_of_each = spaced_in_log_snr(denoiser.schedule, 10), None if label is None else torch.tensor([label])
    with torch.no_grad():
        if eta is None:
            expected = last(dpm_solver(denoiser, x_T, times, label=label_of_each))
        else:
            generator = torch.Generator().manual_seed(3)
            expected = last(ddim(denoiser, x_T, times, eta, label_of_each, generator))
    again = torch.Generator().manual_seed(3)
    fresh = [numbers(torch.randn(1, 1, 28, 28, generator=again)) for _ in range(10)]
    assert distance(asked(lab, SAMPLE, x_T, label, weight, until, eta, fresh), expected) < 1e-4


def test_the_noise_is_normal_and_the_seed_decides_it(lab):
    four = "(seed) => { const draw = network.noise(seed); return [...draw(), ...draw(), ...draw(), ...draw()]; }"
    drawn = asked(lab, four, 0)
    assert abs(drawn.mean()) < 4 / len(drawn) ** 0.5
    assert abs(drawn.var() - 1) < 4 * (2 / len(drawn)) ** 0.5
    for limit, share in ((1, 0.6827), (2, 0.9545)):
        assert abs((drawn.abs() < limit).double().mean() - share) < 4 * (share * (1 - share) / len(drawn)) ** 0.5
    first, same, other = (asked(lab, "(seed) => network.noise(seed)()", seed) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert torch.equal(first, drawn[:784])
    assert abs(torch.corrcoef(torch.stack([first, other]))[0, 1]) < 4 / 28


def test_a_drawing_becomes_the_digit_that_python_makes_of_it(lab):
    dot = [[[0.9, 0.1]]]
    for strokes in (*EXAMPLES.values(), dot, []):
        off = asked(lab, "asDigit", strokes) - torch.from_numpy(as_digit(strokes)).flatten()
        assert off.abs().mean() < 0.02, "edges alone differ: each smooths them by its own rule"


# The page


@pytest.fixture(scope="module")
def folder(without_katex, tmp_path_factory):
    if without_katex:
        pytest.skip(without_katex)
    folder = tmp_path_factory.mktemp("alive")
    page_alone(folder)
    return folder


@pytest.fixture(params=[(1280, 720), (390, 844)], ids=["projector", "phone"])
def page(request, chromium, folder):
    """The page as a file, without a network; it must complain of nothing that a test does not expect."""
    width, height = request.param
    context = chromium.new_context(offline=True, viewport={"width": width, "height": height}, has_touch=True)
    context.set_default_timeout(PATIENCE)
    page, page.faults, page.fetched = context.new_page(), [], []
    page.on("console", lambda said: page.faults.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("request", lambda request: page.fetched.append(request.url.rpartition("/")[2]))
    page.goto((folder / "index.html").as_uri())
    yield page
    context.close()
    assert page.faults == []


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def wait_until_said(page, words):
    includes = "([place, words]) => document.querySelector(place).textContent.includes(words)"
    page.wait_for_function(includes, arg=[SAID, words])


def seen(page):
    return torch.tensor(page.locator(SEEN).evaluate(PIXELS)).reshape(1, 1, 28, 28) / 127.5 - 1


def stroke(page, *points):
    box = page.locator(PAD).bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for x, y in places[1:]:
        page.mouse.move(x, y, steps=4)
    page.mouse.up()


def test_a_stranger_draws_and_the_network_finishes(page):
    assert page.fetched == ["index.html", "alive.js"], "the network is fetched when it is asked for"
    stroke(page, (0.3, 0.2), (0.7, 0.2), (0.45, 0.8))  # a seven
    press(page, "Let it finish")
    wait_until_said(page, "Finished in 10 steps. 10 times")
    assert "weights.js" in page.fetched
    judge = load_judge()
    assert read_digits(judge, seen(page)).tolist() == [7]
    assert misfits(page) == []
    press(page, "Clear")
    press(page, "3")
    wait_until_said(page, "Finished as a 3 in 10 steps.")
    assert read_digits(judge, seen(page)).tolist() == [3]
    assert page.get_by_role("button", name="3", exact=True).get_attribute("aria-pressed") == "true"
    films = page.locator(".alive-film canvas").evaluate_all(f"nodes => nodes.map({PIXELS})")
    spread = np.array(films).reshape(11, 2, 784).std(axis=2)  # of noise and of a digit's ink: all are filled
    assert spread.min() > 20
    assert page.locator(".alive-film span").all_inner_texts()[0] == "1000"


def test_it_goes_by_keys_and_all_parts_have_names(page):
    for role, name in [("group", "A network that draws digits"), ("img", "What the network makes of it"),
                       ("group", "Finish it as"), ("slider", "Noise on the drawing")]:
        assert page.get_by_role(role, name=name, exact=True).count() == 1, (role, name)
    page.get_by_role("slider", name="Noise on the drawing").focus()
    page.keyboard.press("End")
    assert page.get_by_role("slider", name="Noise on the drawing").get_attribute("aria-valuetext") == "t = 1000"
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    for name, key in (("Steps", "Home"), ("Guidance w", "Home"), ("Fresh noise η", "End")):
        page.get_by_role("slider", name=name, exact=True).focus()
        page.keyboard.press(key)
    assert misfits(page) == []
    page.get_by_role("button", name="Let it finish").focus()
    page.keyboard.press("5")
    wait_until_said(page, "Finished as a 5 in 1 step. 1 times")
    before = seen(page)
    page.get_by_label("Seed of the noise").fill("12")
    page.keyboard.press("Enter")
    page.wait_for_function("([place, before]) => document.querySelector(place).textContent.includes('Finished') "
                           f"&& JSON.stringify(({PIXELS})(document.querySelector('{SEEN}'))) !== before",
                           arg=[SAID, str(((before + 1) * 127.5).round().int().flatten().tolist()).replace(" ", "")])


def test_a_new_stroke_ends_what_was_being_drawn(page):
    press(page, "Let it finish")
    stroke(page, (0.5, 0.2), (0.5, 0.8))
    wait_until_said(page, "Now let it finish")
    page.wait_for_timeout(500)
    assert "Now let it finish" in page.locator(SAID).inner_text()
    assert page.locator(".alive-title").last.inner_text() == "The network, t = 800"


def test_it_says_what_to_do_where_the_network_is_missing(page, folder):
    (folder / "weights.js").rename(folder / "away.js")
    press(page, "Let it finish")
    wait_until_said(page, "The network is not there.")
    assert page.faults.pop().startswith("Failed to load resource")
    (folder / "away.js").rename(folder / "weights.js")
    press(page, "Let it finish")
    wait_until_said(page, "Finished")


def test_it_says_so_where_the_browser_cannot_run_it(page):
    page.evaluate("() => { WebAssembly.Module = function () { throw new Error('no such instruction'); }; }")
    press(page, "Let it finish")
    wait_until_said(page, "A current Firefox, Chrome, Edge or Safari runs it.")
    assert "no such instruction" in page.faults.pop()


def test_the_first_use_is_small(folder):
    assert sum(len(gzip.compress((folder / name).read_bytes())) for name in ("alive.js", "weights.js")) < 2e6
