"""Loading with progress, the next visit from the cache, no network at all, and nobody else's."""

import re
import shutil
import time

from playwright.sync_api import expect

from tests.browser.conftest import PATIENCE_SECONDS
from tests.static.conftest import show, wait_until_ready

FETCH = """address => new Promise(resolve => {
  document.addEventListener("securitypolicyviolation", ({ violatedDirective }) => resolve(violatedDirective));
  fetch(address).then(() => resolve("fetched"), () => {});
})"""
WORKER_FETCH = "address => fetch(address).then(() => 'fetched', () => 'refused')"


def statuses_of_service_workers(page):
    """A dictionary that Chromium keeps filling; "installed" is a worker that waits until the old pages are gone."""
    statuses, session = {}, page.context.new_cdp_session(page)

    def note(event):
        statuses.update((version["versionId"], version["status"]) for version in event["versions"])

    session.on("ServiceWorker.workerVersionUpdated", note)
    session.send("ServiceWorker.enable")
    return statuses


def wait_for(page, holds):
    """Chromium puts the waiting worker in charge some time after the last page has closed, and tells no page."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, "the service worker did not change in time"
        page.wait_for_timeout(50)


def test_it_loads_with_progress_once_and_then_works_without_a_network(visits, serve, static_space, portrait):
    server = serve(static_space)
    server.hold(lambda path: "model-" in path)
    page = visits.open(server.url, ready=False)
    expect(page.locator("#status progress")).to_be_visible()
    expect(page.locator("#status")).to_contain_text("Loading the network")
    expect(page.get_by_role("progressbar", name="Starting the network")).to_be_visible()
    heard = page.locator("#status [role=status]")
    expect(heard).to_be_empty()  # else a screen reader would say every megabyte
    server.release()
    wait_until_ready(page)
    expect(page.locator("#status progress")).to_have_count(0)
    expect(heard).to_contain_text("also without a network")
    large = [path for path in server.asked if path.endswith(".packed")]
    assert len(large) == len(set(large)) == 3, "runtime, model and detector, once each"
    assert not [path for path in large if "webgpu" in path], "what this machine does not run is not loaded"

    server.stop()
    page.reload()
    wait_until_ready(page)
    show(page, portrait)
    expect(page.locator("#result .fer-box")).to_have_count(1)
    page.locator("#example-2").click()
    expect(page.locator("#result .fer-box")).to_have_count(1)
    assert page.evaluate("crossOriginIsolated"), "from the second visit on the page may have threads"


def test_what_was_loaded_before_the_service_worker_came_is_kept_too(visits, serve, static_space):
    """The page waits some seconds for the worker, then loads; it promises only what is in the cache."""
    server = serve(static_space)
    server.hold(lambda path: "LICENSES" in path)  # which only the worker asks for
    page = visits.open(server.url)
    expect(page.locator("#status [role=status]")).to_have_text("Ready. Computed by WebAssembly.")
    assert page.evaluate("navigator.serviceWorker.controller") is None
    server.release()
    expect(page.locator("#status")).to_contain_text("also without a network")
    server.stop()
    page.reload()
    wait_until_ready(page)
    expect(page.locator("#status")).to_contain_text("also without a network")


def test_nothing_is_promised_where_the_browser_has_no_room(visits, serve, static_space, tmp_path):
    full = shutil.copytree(static_space, tmp_path / "full")
    worker = full / "sw.js"
    worker.write_text(f"Cache.prototype.put = async () => {{ throw new Error('full') }};\n{worker.read_text()}")
    page = visits.open(serve(full).url)
    expect(page.locator("#status [role=status]")).to_have_text("Ready. Computed by WebAssembly.")
    assert page.evaluate("navigator.serviceWorker.controller !== null")
    page.wait_for_timeout(500)
    expect(page.locator("#status [role=status]")).to_have_text("Ready. Computed by WebAssembly.")


def test_a_new_build_takes_over_when_the_old_page_is_closed(visits, serve, static_space, tmp_path):
    """Whole, and without loading again what did not change."""
    folder = shutil.copytree(static_space, tmp_path / "space")
    server = serve(folder)
    page = visits.open(server.url)
    built = page.locator("meta[name=build]")
    worker, index = folder / "sw.js", folder / "index.html"
    worker.write_text(re.sub(r'VERSION="\w+"', 'VERSION="second"', worker.read_text().replace(" = ", "=")))
    index.write_text(index.read_text().replace("<title>", '<meta name="build" content="second"><title>'))
    page.reload()
    wait_until_ready(page)
    expect(built).to_have_count(0)
    old, page = page, page.context.new_page()
    statuses = statuses_of_service_workers(page)
    wait_for(page, lambda: "installed" in statuses.values())
    old.close()
    wait_for(page, lambda: "installed" not in statuses.values())
    page.goto(server.url)
    wait_until_ready(page)
    expect(page.locator("meta[name=build]")).to_have_count(1)
    large = [path for path in server.asked if path.endswith(".packed")]
    assert len(large) == len(set(large)) == 3, "the runtime, the model and the detector are the same"


def test_a_damaged_file_gets_a_sentence(visits, serve, static_space, tmp_path):
    broken = shutil.copytree(static_space, tmp_path / "broken")
    (model,) = broken.glob("assets/model-*.packed")
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 0xFF
    model.write_bytes(data)
    page = visits.open(serve(broken).url, ready=False)
    expect(page.locator("#status.fer-error")).to_contain_text("could not be loaded")


SPOIL = """async part => {  // a byte of each kept file whose address holds `part`
  const spoilt = [];
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of (await cache.keys()).filter(({ url }) => url.includes(part))) {
      const bytes = new Uint8Array(await (await cache.match(request)).arrayBuffer());
      bytes[bytes.length >> 1] ^= 0xff;
      await cache.put(request, new Response(bytes));
      spoilt.push(request.url);
    }
  }
  return spoilt;
}"""


def test_what_is_kept_damaged_is_fetched_again_and_then_kept(visits, serve, static_space, portrait):
    """Else the page would be broken until its visitor clears the browser's data."""
    server = serve(static_space)
    page = visits.open(server.url)
    assert len(page.evaluate(SPOIL, "model-")) == 1
    page.reload()
    wait_until_ready(page)
    asked = [path for path in server.asked if "model-" in path]
    assert len(asked) == 2 and len(set(asked)) == 1
    page.reload()
    wait_until_ready(page)
    assert [path for path in server.asked if "model-" in path] == asked, "the second one is whole, and kept"


def test_a_machine_that_computes_other_numbers_gets_a_sentence(visits, serve, static_space, tmp_path):
    """A GPU's driver, for instance: the page compares one run with the build's."""
    broken = shutil.copytree(static_space, tmp_path / "broken")
    (worker,) = broken.glob("assets/worker-*.js")
    worker.write_text(re.sub(r"checkLogits:\[[^\]]*\]", "checkLogits:[9,0,0,0,0,0,0]", worker.read_text()))
    page = visits.open(serve(broken).url, ready=False)
    expect(page.locator("#status.fer-error")).to_contain_text("numbers are off by 0.")


def test_a_failure_stays_on_the_page_while_other_files_still_arrive(visits, serve, static_space, tmp_path):
    broken = shutil.copytree(static_space, tmp_path / "broken")
    next(broken.glob("assets/yunet-*.packed")).unlink()
    server = serve(broken)
    server.hold(lambda path: "model-" in path)
    page = visits.open(server.url, ready=False)
    expect(page.locator("#status.fer-error")).to_contain_text("could not be loaded")
    with page.expect_response(lambda response: "model-" in response.url) as model:
        server.release()
    model.value.finished()
    page.wait_for_timeout(500)
    expect(page.locator("#status.fer-error")).to_contain_text("could not be loaded")


def test_without_its_worker_a_picture_gets_a_sentence_and_no_camera_stays_on(
    visits, serve, static_space, tmp_path, portrait
):
    broken = shutil.copytree(static_space, tmp_path / "broken")
    next(broken.glob("assets/worker-*.js")).write_text("throw new Error('torn')")
    page = visits.open(serve(broken).url, ready=False)
    expect(page.locator("#status.fer-error")).to_contain_text("torn")
    show(page, portrait)
    expect(page.locator("#result .fer-error")).to_contain_text("torn")
    page.get_by_role("tab", name="Webcam").click()
    page.locator("#accept").click()
    expect(page.locator("#live-result .fer-error")).to_contain_text("torn")
    assert page.evaluate("document.querySelector('#camera').srcObject") is None
    assert set(visits.trouble) <= {"torn"}
    visits.trouble.clear()


def test_without_its_sentences_the_page_says_so(visits, serve, static_space, tmp_path):
    broken = shutil.copytree(static_space, tmp_path / "broken")
    for texts in broken.glob("assets/texts-en-*.json"):
        texts.unlink()
    page = visits.open(serve(broken).url, ready=False)
    expect(page.locator(".fer-error")).to_contain_text("could not be loaded")


def test_the_policy_forbids_every_other_host(visits, static_url, serve, static_space):
    page, other = visits.open(static_url), serve(static_space)
    assert page.evaluate(FETCH, f"{other.url}icon.svg") == "connect-src"
    workers = page.workers
    assert workers and all(worker.evaluate(WORKER_FETCH, f"{other.url}icon.svg") == "refused" for worker in workers)
    assert other.asked == []
    visits.trouble.clear()  # this once it was wanted
