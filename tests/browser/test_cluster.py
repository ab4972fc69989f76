"""The pages of the cluster and of this machine's experiments: what runs where, what blocks, what is wrong."""

import pytest
from playwright import async_api as playwright

from nni import errors
from nni.core import event, model
from nni.core import surroundings as around
from nni.testing import story
from nni.testing.browser import visiting

pytestmark = [pytest.mark.requires("browser"), pytest.mark.asyncio(loop_scope="session")]

FULL = model.Reason(kind=model.ReasonClass.CAPACITY, sentence="It is queued: insufficient quota for nvidia.com/gpu")


def pod(trial: str, role: str, phase: str, node: str = "", state: str = "") -> model.Pod:
    name = f"nni-exp-story123-trial-{trial}-{role}-0"
    return model.Pod(replica=model.Replica(role), name=name, phase=phase, node=node, state=state)


@pytest.fixture
def tale() -> story.Story:
    """A trial on two nodes, one that cannot pull its image, one that is queued."""
    tale = story.Story()
    tale.is_now()
    tale.happens(event.Started())
    tale.proposes("aaaaa", "bbbbb", "ccccc")
    tale.creates("aaaaa", "bbbbb", "ccccc")
    on = [pod("aaaaa", "master", "Running", "node-1"), pod("aaaaa", "worker", "Running", "node-10")]
    tale.observes("aaaaa", model.JobPhase.RUNNING, pods=on)
    image = model.Reason(kind=model.ReasonClass.CONFIG, sentence="The image x:1 cannot be pulled: not found")
    off = [pod("bbbbb", "master", "Pending", "node-1", "ImagePullBackOff"), pod("bbbbb", "worker", "Pending")]
    tale.observes("bbbbb", model.JobPhase.PENDING, image, pods=off)
    tale.observes("ccccc", model.JobPhase.QUEUED, FULL)
    tale.around = around.Surroundings(
        nodes=(
            around.Node(name="node-1", is_ready=True, takes_pods=True, capacity={"cpu": "64", "memory": "256Gi"}),
            around.Node(name="node-10", is_ready=False, takes_pods=False, capacity={"nvidia.com/gpu": "8"}),
            around.Node(name="node-2", is_ready=True, takes_pods=True, capacity={"cpu": "8"}),
        ),
        quotas=(
            around.Quota(
                name="team",
                amounts=(
                    around.Amount(resource="requests.memory", used="64Gi", most="256Gi"),
                    around.Amount(resource="pods", used="4", most="4"),
                ),
            ),
        ),
        queue=around.Queue(
            name="team-a",
            cluster_queue="gpus",
            admitted=7,
            waiting=12,
            amounts=(around.Amount(resource="a100: nvidia.com/gpu", used="8", most="8"),),
            places={"nni-exp-story123-trial-ccccc": 3},
        ),
    )
    tale.findings = [
        {"what": "namespace", "verdict": "ok", "sentence": "default is there."},
        {"what": "rights", "verdict": "failed", "sentence": "Missing in the namespace default: list pods."},
        {"what": "images", "verdict": "warning", "sentence": "docker_image of master is not set."},
    ]
    return tale


async def test_pods_stand_by_their_nodes_and_move_as_they_are_seen(
    browser: playwright.Browser, tale: story.Story
) -> None:
    async with visiting(browser, tale, start="cluster") as visit:
        await visit.shows("64 CPU, 256 GiB memory")
        rows = visit.page.get_by_role("region", name="Pods by node").locator("tbody tr")
        heads = await visit.page.locator("tr.group").all_inner_texts()
        assert [head.split("\n")[0].split()[0] for head in heads] == ["node-1", "node-10", "On", "No"]
        assert "2 pods (1 running, 1 pending)" in heads[0]
        assert "not ready, takes no new pods · 8 nvidia.com/gpu" in heads[1]
        await rows.filter(has_text="Pending, ImagePullBackOff").wait_for()
        await visit.page.get_by_text("1 node without a pod of ours").click()
        await visit.shows("ready · 8 CPU")

        tale.observes("bbbbb", model.JobPhase.RUNNING, pods=[pod("bbbbb", "master", "Running", "node-3")])
        await visit.page.locator("tr.group", has_text="node-3").wait_for()
        tale.ends("aaaaa")
        await visit.page.locator("tr.group", has_text="node-10").wait_for(state="detached")
        assert visit.faults == []


async def test_what_blocks_is_told_with_the_place_in_the_queue_and_the_quota(
    browser: playwright.Browser, tale: story.Story
) -> None:
    async with visiting(browser, tale, start="cluster") as visit:
        await visit.page.locator(".concerns li", has_text="insufficient quota").wait_for()
        await visit.page.locator(".concerns li", has_text="number 3 in the queue").wait_for()
        await visit.page.locator(".concerns li", has_text="cannot be pulled").wait_for()
        await visit.shows("7 jobs admitted, 12 waiting")
        await visit.page.get_by_role("list", name="Places in the queue").get_by_text("is number 3").wait_for()
        await visit.page.locator(".amounts .full", has_text="8 of 8").wait_for()
        await visit.page.locator(".amounts .full", has_text="4 of 4").wait_for()
        await visit.page.locator(".amounts div:not(.full)", has_text="64 GiB of 256 GiB").wait_for()

        tale.around = around.Surroundings(unseen=("Nodes cannot be seen: this user may not list nodes.",))
        await visit.presses("Ask the cluster")
        await visit.shows("Nodes cannot be seen: this user may not list nodes.")
        assert visit.faults == []
        tale.around = errors.PlatformUnavailableError("The API server does not answer.")
        await visit.presses("Ask the cluster")
        await visit.page.locator("main .notice", has_text="The API server does not answer.").wait_for()


async def test_the_doctor_s_report_begins_with_what_is_wrong(browser: playwright.Browser, tale: story.Story) -> None:
    await tale.examine()
    async with visiting(browser, tale, start="cluster") as visit:
        await visit.shows("2 of 3 checks need a look")
        findings = visit.page.locator(".findings li")
        assert [" ".join(text.split()[:2]) for text in (await findings.all_inner_texts())[:2]] == [
            "Wrong: rights",
            "Doubtful: images",
        ]
        await visit.page.get_by_text("1 check without a finding").click()
        await visit.shows("default is there.")
        tale.findings = tale.findings[:1]
        await visit.page.locator("section", has_text="Doctor's report").get_by_role("button", name="Look again").click()
        await visit.shows("1 check, nothing wrong")
        assert visit.faults == []


async def test_the_experiments_of_this_machine_with_their_best(browser: playwright.Browser, tale: story.Story) -> None:
    tale.reports("aaaaa", final="0.75")
    tale.ends("aaaaa")
    here = {
        "id": "story123",
        "port": 8080,
        "status": "RUNNING",
        "platform": "kubeflow",
        "experimentName": "",
        "prefixUrl": None,
        "startTime": 1,
        "endTime": "N/A",
        "isAlive": True,
        "logDir": "/home/somebody/nni-experiments/story123",
        "best": 0.5,
    }
    other = {**here, "id": "other456", "experimentName": "before", "status": "STOPPED", "isAlive": False}
    tale.experiments = [{**other, "best": 1 / 3}, {**other, "id": "third789", "best": None}, here]
    async with visiting(browser, tale, start="experiment") as visit:
        rows = visit.page.locator("tbody tr")
        # What is best here is known to the moment; the list may be a moment behind.
        await rows.filter(has_text="story123").filter(has_text="0.75").wait_for()
        await rows.filter(has_text="other456").filter(has_text="0.333333").wait_for()
        assert await rows.filter(has_text="third789").locator("td.number").first.get_attribute("title") == (
            "No final result yet"
        )
        await visit.page.get_by_label("Search experiments").fill("before")
        await visit.page.locator("tr.is-best").wait_for(state="detached")
        assert await rows.count() == 2
        assert visit.faults == []
