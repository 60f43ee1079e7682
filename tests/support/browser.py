"""Debian's chromium, driven without a screen."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

_SWITCHES = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
)


@contextmanager
def browser(profile: Path) -> Iterator[Chrome]:
    """Start a browser whose console and network can be read; `profile` is an empty folder of its own."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for switch in (*_SWITCHES, f"--user-data-dir={profile}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(executable_path=DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def show(driver: Chrome, page: Path, *, width: int = 1280, height: int = 800, dark: bool = False) -> None:
    """Open a file in a viewport of so many CSS pixels; what was logged before is forgotten."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    for log in ("browser", "performance"):
        driver.get_log(log)
    driver.get(page.as_uri())


def console(driver: Chrome) -> list[str]:
    """What the page wrote to the console, errors of the page and of its policy among it."""
    return [entry["message"] for entry in driver.get_log("browser")]


def requests(driver: Chrome) -> list[str]:
    """Addresses that the page asked for since it was opened, pictures inside it left out."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [url for url in (_url(params) for params in asked) if not url.startswith("data:")]


def _url(params: dict[str, Any]) -> str:
    return str(params["request"]["url"])


def picture(driver: Chrome, *, height: int | None = None, scale: float = 1.0) -> bytes:
    """Take a PNG of the page from its top.

    Args:
        driver: showing it.
        height: CSS pixels; the whole page.
        scale: pixels of the picture for a CSS pixel.
    """
    width, whole = driver.execute_script("const e = document.documentElement; return [e.clientWidth, e.scrollHeight]")
    clip = {"x": 0, "y": 0, "width": width, "height": height or whole, "scale": scale}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    return base64.b64decode(shot["data"])
