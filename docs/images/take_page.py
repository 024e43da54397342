"""Takes docs/images/page.png: the service's page with a highlighted answer, in headless Chromium.

    python docs/images/take_page.py [--output F]

Needs the [serve] extra, playwright and an installed Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright

SAMPLE = "A figure: sleep and the start of school"
PICTURE = Path(__file__).with_name("page.png")


def main() -> None:
    """Serve the embedded model, ask the page's first example and take the picture."""
    parser = argparse.ArgumentParser(description="Takes the picture of the page.")
    parser.add_argument("--output", type=Path, default=PICTURE, help="the picture (docs/images/page.png)")
    output = parser.parse_args().output
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen([sys.executable, "-m", "qa_extractive", "serve", "--port", str(port)])
    try:
        wait_until_ready(url)
        take(url, output)
    finally:
        server.terminate()
        server.wait()


def wait_until_ready(url: str, timeout_s: float = 120.0) -> None:
    """Return once the service answers; TimeoutError if it does not."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(f"{url}/health/ready", timeout=5).close()
            return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(f"{url} did not become ready within {timeout_s:g} s")


def take(url: str, output: Path) -> None:
    """Ask the example, twice so that the browser is warm, and save the window: 1200 x 800 pixels."""
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        size: ViewportSize = {"width": 1500, "height": 1000}  # so that form and answer fit
        page = browser.new_page(viewport=size, device_scale_factor=0.8, color_scheme="light")
        page.set_default_timeout(120_000)
        page.goto(url)
        page.wait_for_selector("#sample option:nth-child(2)", state="attached")
        page.select_option("#sample", label=SAMPLE)
        page.evaluate("document.querySelector('textarea').rows = 4")
        for _ in range(2):
            page.click("#ask")
            page.wait_for_selector("#results:not([hidden])")
            page.wait_for_selector("#form:not([aria-busy])")
        page.evaluate("document.activeElement.blur()")
        page.evaluate("document.querySelector('#question').parentElement.scrollIntoView()")
        page.screenshot(path=output)
        browser.close()


if __name__ == "__main__":
    main()
