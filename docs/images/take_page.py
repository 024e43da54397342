"""Takes docs/images/page.png: the page with the evidence table of its examples, in headless Chromium.

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

PICTURE = Path(__file__).with_name("page.png")


def main() -> None:
    """Serve the embedded model, fill the page's table with its examples and take the picture."""
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
    """Fill the table and save the window: 1200 x 800 pixels."""
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        size: ViewportSize = {"width": 1500, "height": 1000}  # so that questions and table fit
        page = browser.new_page(viewport=size, device_scale_factor=0.8, color_scheme="light")
        page.set_default_timeout(120_000)
        page.goto(url)
        page.wait_for_selector("body[data-ready]")
        page.click("#try")
        page.wait_for_selector("#together:not([hidden])")
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement.blur()")
        page.evaluate("document.querySelector('#many').scrollIntoView()")
        page.screenshot(path=output)
        browser.close()


if __name__ == "__main__":
    main()
