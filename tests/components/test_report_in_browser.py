"""Pages in a real browser: nothing sticks out, nothing is complained about, every picture is drawn."""

import shutil

import pytest

from components.run_report.comparison.comparison import compare
from components.run_report.comparison.comparison_page import render_comparison
from components.run_report.page import render_page
from tests.components.report_samples import big_report, facts, run_document, with_parts

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium: apt-get install chromium"),
]

# Of every element that can be seen and that no scrolling container holds: how far it sticks out of the window.
STICKING_OUT = """() => [...document.querySelectorAll('body *')].filter(element => {
  for (let parent = element.parentElement; parent; parent = parent.parentElement)
    if (['auto', 'scroll'].includes(getComputedStyle(parent).overflowX)) return false;
  const box = element.getBoundingClientRect();
  return box.width && (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map(element => element.outerHTML.slice(0, 120))"""
# Text that its own box cuts off.
CUT_OFF = """() => [...document.querySelectorAll('h1, h2, h3, p, dt, dd, li, td, th, figcaption')].filter(element =>
  element.scrollWidth > element.clientWidth + 1 && element.clientWidth && getComputedStyle(element).overflowX !== 'auto'
).map(element => element.outerHTML.slice(0, 120))"""
PICTURES = """() => [...document.querySelectorAll('svg')].map(svg => {
  const box = svg.getBoundingClientRect();
  const shapes = [...svg.querySelectorAll('path, rect, use, text')].filter(one => one.getBoundingClientRect().width);
  const texts = [...svg.querySelectorAll('text')].map(one => one.getBoundingClientRect());
  return {
    name: svg.querySelector('title').textContent,
    width: box.width, height: box.height, shapes: shapes.length, texts: texts.length,
    outside: texts.filter(one => one.left < box.left - 2 || one.right > box.right + 2
                              || one.top < box.top - 2 || one.bottom > box.bottom + 2).length,
  };
})"""
# Pictures that go on outside of their box and do not say so.
UNSIGNED = """() => [...document.querySelectorAll('figure')].filter(figure => {
  const box = figure.querySelector('.scroll');
  return box && box.scrollWidth > box.clientWidth + 1
    && !getComputedStyle(figure.querySelector('figcaption'), '::after').content.includes('scroll');
}).map(figure => figure.textContent.trim().slice(0, 60))"""
INK = "() => getComputedStyle(document.querySelector('svg text')).fill"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Files: of a run of twenty members, of one that failed, of nothing, and of a comparison."""
    directory = tmp_path_factory.mktemp("pages")
    big = big_report()
    failed = run_document(run=facts(["K2-H4", "K4-H4"], "failed", "Trainer-K4-H4: " + "no/" * 60))
    recipe = {
        "name": "other",
        "training": {"steps": 100_000},
        "data": {"validate": ["gs://bucket/" + "deep/" * 20]},
    }
    other = with_parts(big, run={**big.run.document(), "recipe": recipe, "run_id": "2"})
    for name, page in (
        ("big", render_page(big)),
        ("failed", render_page(failed)),
        ("empty", render_page(run_document())),
        ("comparison", render_comparison(compare({"runs/a-long-name-of-a-run": big, "runs/b": other}))),
    ):
        (directory / f"{name}.html").write_text(page, encoding="utf-8")
    return directory


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("width", [1280, 700, 390])
@pytest.mark.parametrize("name", ["big", "failed", "empty", "comparison"])
def test_a_page_fits_and_is_whole(chromium, pages, name, width):
    context = chromium.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    address = (pages / f"{name}.html").as_uri()
    page.goto(address)
    page.evaluate("() => document.querySelectorAll('details').forEach(one => one.open = true)")
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [address]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(STICKING_OUT) == []
    assert page.evaluate(CUT_OFF) == []
    assert page.evaluate(UNSIGNED) == []
    for picture in page.evaluate(PICTURES):
        assert min(picture["width"], picture["height"]) > 100, picture
        assert picture["shapes"] > 8, picture
        assert picture["texts"] > 4, picture
        assert picture["outside"] == 0, picture
    context.close()


def test_text_follows_the_page_into_the_dark_and_onto_paper(chromium, pages):
    inks = {}
    for media, scheme in (("screen", "light"), ("screen", "dark"), ("print", "dark")):
        page = chromium.new_page()
        page.emulate_media(media=media, color_scheme=scheme)
        page.goto((pages / "failed.html").as_uri())
        inks[media, scheme] = page.evaluate(INK)
        page.close()
    assert len(set(inks.values())) == 3
    assert inks["print", "dark"] in ("rgb(0, 0, 0)", "rgb(68, 68, 68)")
