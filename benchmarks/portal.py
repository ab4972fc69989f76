"""How the portal's page behaves with 10,000 trials of 10 parameters and 100 intermediate results each.

A real portal is served by a process of its own below a prefix; a fresh browser opens it over loopback. Printed are
absolute values with the machine's load beside them, and the goal of each; a longest task of 0 is one below 50 ms.
``TRIALS`` makes it smaller; with ``NNI_WHEEL`` NNI's own portal is opened over the same data (see ``portal_nni``) and
the ratios are printed.

    python -m benchmarks.portal
"""

import asyncio
import dataclasses
import datetime as dt
import json
import math
import os
import pathlib
import random
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from playwright import async_api as playwright

import nni.server
from benchmarks import portal_nni
from nni.core import event, model, ports
from nni.server import health
from nni.testing import story

TRIALS = int(os.environ.get("TRIALS", "10000"))
POINTS = 100
LIVE = 20
EVENTS = 200
EVENTS_PER_SECOND = 20
PREFIX = "proxy/8080"
ROOT = pathlib.Path(__file__).parent.parent
STATIC = pathlib.Path(nni.server.__file__).parent / "static"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]

SPACE: dict[str, Any] = {
    "learning_rate": {"_type": "loguniform", "_value": [1e-5, 1e-1]},
    "weight_decay": {"_type": "loguniform", "_value": [1e-6, 1e-2]},
    "dropout": {"_type": "uniform", "_value": [0, 0.6]},
    "momentum": {"_type": "uniform", "_value": [0.5, 1]},
    "warmup": {"_type": "uniform", "_value": [0, 0.2]},
    "label_smoothing": {"_type": "uniform", "_value": [0, 0.2]},
    "batch_size": {"_type": "choice", "_value": [16, 32, 64, 128]},
    "optimizer": {"_type": "choice", "_value": ["adam", "sgd", "rmsprop"]},
    "layers": {"_type": "randint", "_value": [1, 9]},
    "hidden": {"_type": "quniform", "_value": [16, 512, 16]},
}


class Large(story.Story):
    """An experiment whose intermediate results are made up when they are asked for: a million need no memory."""

    async def metrics(
        self, trial: model.TrialId | None = None, kind: model.MetricType | None = None
    ) -> Sequence[ports.MetricRow]:
        """Return what was reported, or a curve towards the trial's final metric."""
        reported = await super().metrics(trial, kind)
        if trial is None or len(reported) > 1:
            return reported
        goal = self.state.trials[trial].final_value or 0.0
        return [self._point(trial, step, goal) for step in range(POINTS)]

    def _point(self, trial: model.TrialId, step: int, goal: float) -> ports.MetricRow:
        value = json.dumps(goal * (1 - math.exp(-step / 20)))
        metric = model.Metric(
            number=step + 1, at=self.now(), type=model.MetricType.PERIODICAL, sequence=step, value=value
        )
        return ports.MetricRow(attempt=self.key(trial), replica=story.CHIEF, metric=metric, received_at=self.now())


def tale() -> Large:
    """Return an experiment near its end: nearly all trials are over, a few run and have reported."""
    draw = random.Random(7)
    told = Large(search_space=SPACE, name="ten thousand", max_trial_number=2 * TRIALS, trial_concurrency=LIVE)
    told.is_now()
    told.passes(-86400.0)
    told.happens(event.Started())
    for number in range(TRIALS):
        _tell_trial(told, number, draw)
    told.is_now()
    for part in (health.TUNER, health.PLATFORM, health.STORAGE, health.METRICS):
        told.vitals.hears(part, told.now())
    return told


def _tell_trial(told: Large, number: int, draw: random.Random) -> None:
    trial = model.TrialId(f"{chr(97 + number % 26)}{draw.randrange(36**4):04x}"[:5] + f"{number:x}"[-3:])
    parameters = {name: _drawn(its, draw) for name, its in SPACE.items()}
    proposal = event.Proposal(trial=trial, parameter_id=number, parameters=parameters)
    told.happens(event.Proposed(asked=0, proposals=(proposal,)))
    told.passes(draw.uniform(0.5, 4))
    told.creates(trial)
    told.passes(draw.uniform(0.5, 4))
    told.observes(trial, model.JobPhase.RUNNING)
    value = 0.9 - 0.05 * abs(math.log10(parameters["learning_rate"]) + 3) + draw.gauss(0, 0.01)
    if number >= TRIALS - LIVE:
        told.reports(trial, *(json.dumps(value * step / POINTS) for step in range(10)))
    elif number % 50 == 7:
        told.ends(trial, code=1, lines=["RuntimeError: CUDA out of memory"])
    else:
        told.reports(trial, final=json.dumps(value))
        told.ends(trial)


def _drawn(dimension: dict[str, Any], draw: random.Random) -> Any:
    low, high = dimension["_value"][0], dimension["_value"][1]
    match dimension["_type"]:
        case "choice":
            return draw.choice(dimension["_value"])
        case "loguniform":
            return math.exp(draw.uniform(math.log(low), math.log(high)))
        case "uniform":
            return draw.uniform(low, high)
        case _:
            return draw.randrange(low, high)


async def serve() -> None:
    """Serve the portal; each line on standard input has a trial report 20 times a second, and prints when."""
    told = tale()
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with told.shown(STATIC, url_prefix=PREFIX) as url:
        live = next(its.id for its in reversed(told.state.trials.values()) if its.intermediate_count)
        print(json.dumps({"url": url, "token": told.token, "trial": live}), flush=True)
        while await lines.readline():
            sent = []
            for _ in range(EVENTS):
                told.is_now()
                told.reports(live, "0.5")
                sent.append((told.state.trials[live].intermediate_count, 1000 * dt.datetime.now(dt.UTC).timestamp()))
                await asyncio.sleep(1 / EVENTS_PER_SECOND)
            print(json.dumps(sent), flush=True)


@dataclasses.dataclass(frozen=True, slots=True)
class Served:
    """A portal in a process of its own."""

    process: asyncio.subprocess.Process
    url: str
    token: str
    trial: str

    async def report(self) -> list[tuple[int, float]]:
        """Have a trial report, and return the count after each report with the time of it in milliseconds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"\n")
        return [(count, at) for count, at in json.loads(await self.process.stdout.readline())]


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    """Start a portal, and end it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.portal",
        "serve",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    assert process.stdout is not None
    try:
        yield Served(process, **json.loads(await process.stdout.readline()))
    finally:
        process.terminate()
        await process.wait()


WATCH = """
window.longest = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) longest = Math.max(longest, entry.duration);
}).observe({ type: "longtask", buffered: true });
const usable = () => READY;
window.usableAt = new Promise((tell) => {
  new MutationObserver((_, observer) => {
    if (!usable()) return;
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => tell(performance.now())));
  }).observe(document, { childList: true, subtree: true });
});
"""

READY = (
    "document.querySelector('.best .figure') && document.querySelector('tbody td') && document.querySelector('canvas')"
)
"""The best, rows and a chart are there."""

FOLLOW = """() => {
  window.texts = []; window.charts = [];
  const now = () => performance.timeOrigin + performance.now();
  const said = () => Number((document.querySelector(".verdict p").textContent.match(/reported (\\d+)/) || [])[1] || 0);
  new MutationObserver(() => texts.push([said(), now()])).observe(
    document.querySelector(".verdict p"), { childList: true, subtree: true, characterData: true });
  const clear = CanvasRenderingContext2D.prototype.clearRect;
  CanvasRenderingContext2D.prototype.clearRect = function (...box) {
    const label = document.querySelector(".plot").getAttribute("aria-label");
    charts.push([Number((label.match(/(\\d+) reports/) || [])[1] || 0), now()]);
    return clear.apply(this, box);
  };
}"""

SORT = """async (name) => {
  const first = () => document.querySelector("tbody a")?.textContent;
  const before = first();
  const start = performance.now();
  [...document.querySelectorAll("th button")].find((its) => its.textContent.startsWith(name)).click();
  while (first() === before && performance.now() - start < 5000) await new Promise(requestAnimationFrame);
  return performance.now() - start;
}"""


class Browser:
    """A fresh browser, and what it fetched."""

    def __init__(self, page: playwright.Page, session: playwright.CDPSession, url: str) -> None:
        self.page = page
        self.session = session
        self.bytes = 0
        self.strangers: list[str] = []
        session.on("Network.loadingFinished", self._loaded)
        page.on("request", lambda request: self._asked(request.url, url))

    def _loaded(self, told: dict[str, Any]) -> None:
        self.bytes += int(told["encodedDataLength"])

    def _asked(self, url: str, start: str) -> None:
        if not url.startswith((start + "/", "data:", "blob:")):
            self.strangers.append(url)

    async def number(self, expression: str) -> float:
        """Return what an expression in the page is."""
        return float(await self.page.evaluate(expression))

    async def heap(self) -> float:
        """Return the megabytes that JavaScript holds after a collection of garbage."""
        await self.session.send("HeapProfiler.collectGarbage")
        usage = await self.session.send("Runtime.getHeapUsage")
        return float(usage["usedSize"]) / 1e6


@asynccontextmanager
async def browsing(
    driver: playwright.Playwright, served: Served | portal_nni.Seeded, ready: str = READY
) -> AsyncIterator[Browser]:
    """Start a browser with an empty profile that is signed in and has loaded nothing.

    Args:
        driver: Starts browsers.
        served: The portal that it will visit.
        ready: The expression that is true once the page can be used.
    """
    browser = await driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
    page = await browser.new_page(viewport={"width": 1400, "height": 900})
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    if isinstance(served, Served):
        cookie: Any = {"name": "nni-story123", "value": served.token, "url": served.url}
        await page.context.add_cookies([cookie])
    page.set_default_timeout(300_000)
    await page.add_init_script(WATCH.replace("READY", ready))
    try:
        yield Browser(page, session, served.url)
    finally:
        await browser.close()


def show(name: str, value: float, goal: float | None, unit: str) -> None:
    """Print a figure beside its goal, where it has one."""
    mark = "" if goal is None else f"goal {goal:g} {unit} {'reached' if value <= goal else 'MISSED'}"
    print(f"  {name:<42} {value:>9.1f} {unit:<3} {mark}", flush=True)


async def opening(driver: playwright.Playwright, served: Served) -> dict[str, float]:
    """Open the overview with a cold cache, three times; return what NNI's is compared with."""
    paints, ready, sizes, heaps, longest = [], [], [], [], []
    for _ in range(3):
        async with browsing(driver, served) as its:
            await its.page.goto(f"{served.url}/oview")
            ready.append(await its.number("usableAt"))
            paints.append(await its.number("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
            sizes.append(its.bytes / 1e3)
            heaps.append(await its.heap())
            longest.append(await its.number("longest"))
            assert its.strangers == [], its.strangers
    print("overview, cold, median of 3")
    show("first paint", statistics.median(paints), 500, "ms")
    show("usable", statistics.median(ready), 1500, "ms")
    show("over the wire", statistics.median(sizes), 500, "KB")
    show("heap", statistics.median(heaps), 60, "MB")
    show("longest task", statistics.median(longest), 300, "ms")
    figures = {"usable": ready, "over the wire": sizes, "heap": heaps, "longest task": longest}
    return {name: statistics.median(values) for name, values in figures.items()}


async def comparing(driver: playwright.Playwright, ours: dict[str, float], wheel: pathlib.Path) -> None:
    """Open NNI's overview over the same data, once, and print how much of its figures ours are."""
    with tempfile.TemporaryDirectory(prefix="nni-portal") as directory:
        place = pathlib.Path(directory)
        portal_nni.seed(place, tale().state, POINTS)
        async with portal_nni.viewing(wheel, place) as served, browsing(driver, served, portal_nni.READY) as its:
            await its.page.goto(f"{served.url}/oview")
            async with asyncio.timeout(300):
                usable = await its.number("usableAt")
            theirs = {
                "usable": usable,
                "over the wire": its.bytes / 1e3,
                "heap": await its.heap(),
                "longest task": await its.number("longest"),
            }
            print(f"NNI 3.0's overview, one run; {len(its.strangers)} requests elsewhere")
    for name, value in theirs.items():
        print(f"  {name:<42} {value:>9.1f}     ours is 1/{value / ours[name]:.0f}", flush=True)


async def sorting(driver: playwright.Playwright, served: Served) -> None:
    """Sort, search and scroll the table of all trials."""
    async with browsing(driver, served) as its:
        await its.page.goto(f"{served.url}/detail")
        await its.page.locator("tbody a").first.wait_for(timeout=60_000)
        times = [await its.number(f"({SORT})({json.dumps(name)})") for name in ("Metric", "Duration", "dropout", "No.")]
        scrolled = await its.number(
            """(async () => { const box = document.querySelector(".table"); const start = performance.now();
            for (let step = 1; step <= 20; step++) { box.scrollTop = step * box.scrollHeight / 21;
              await new Promise(requestAnimationFrame); } return (performance.now() - start) / 20; })()"""
        )
        worst = await its.number("longest")
        for tab in ("parameters", "duration", "intermediate"):
            await its.page.goto(f"{served.url}/detail?tab={tab}")
            await its.page.locator(".plot, .parallel").first.wait_for(timeout=60_000)
            await its.page.wait_for_timeout(500)
            worst = max(worst, await its.number("longest"))
        await its.page.goto(f"{served.url}/analysis?tab=slice")
        await its.page.locator("canvas").nth(9).wait_for(timeout=60_000)
        await its.page.wait_for_timeout(500)
        slices = await its.number("longest")
        heap = await its.heap()
        assert its.strangers == [], its.strangers
    print("trials and analysis")
    show("sort, slowest of 4", max(times), 250, "ms")
    show("a picture while scrolling", scrolled, None, "ms")
    show("longest task, charts of the trials' page", worst, 300, "ms")
    show("longest task, slices", slices, 300, "ms")
    show("heap, slices", heap, 60, "MB")


async def following(driver: playwright.Playwright, served: Served) -> None:
    """Watch one trial report 20 times a second, beside the other thousands."""
    async with browsing(driver, served) as its:
        await its.page.goto(f"{served.url}/trial/{served.trial}?tab=metrics")
        await its.page.locator(".plot canvas").wait_for(timeout=60_000)
        await its.page.evaluate(FOLLOW)
        sent = await served.report()
        await its.page.wait_for_timeout(500)
        texts, charts = await its.page.evaluate("[texts, charts]")
        longest = await its.number("longest")
    print(f"{EVENTS} events, {EVENTS_PER_SECOND} a second")
    show("event to text, p95", _late(sent, texts), 100, "ms")
    show("event to chart, p95", _late(sent, charts), 200, "ms")
    show("longest task", longest, 300, "ms")


def _late(sent: Sequence[tuple[int, float]], seen: Sequence[tuple[int, float]]) -> float:
    """Return the 95th percentile of the times until something at least as new was seen."""
    waits = [next((at for shown, at in seen if shown >= count), math.inf) - at_sent for count, at_sent in sent]
    return sorted(waits)[math.ceil(len(waits) * 0.95) - 1]


async def measure() -> int:
    """Measure everything; 0 when it came to its end."""
    print(f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors; {TRIALS} trials")
    async with serving() as served, playwright.async_playwright() as driver:
        ours = await opening(driver, served)
        await sorting(driver, served)
        await following(driver, served)
    if wheel := portal_nni.wheel():
        async with playwright.async_playwright() as driver:
            await comparing(driver, ours, wheel)
    print(f"load average {os.getloadavg()[0]:.2f}")
    return 0


if __name__ == "__main__":
    asyncio.run(serve()) if "serve" in sys.argv else sys.exit(asyncio.run(measure()))
