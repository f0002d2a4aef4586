"""The page at /, in a real browser: photo in, hashtags out, by mouse and by keyboard."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from hashnext.registry.package import ModelPackage
from serve import app

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
)  # fmt: skip
WIDTHS = (360, 768, 1280)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    driver = shutil.which("chromedriver")
    if driver is None or not (shutil.which("chromium") or shutil.which("google-chrome")):
        pytest.skip("no chromium with chromedriver on the PATH")
    options = ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with Chrome(options, ChromeService(driver)) as browser:
        yield browser


@pytest.fixture(scope="module")
def url(browser: Chrome, ray_session: None, tiny_package: ModelPackage) -> Iterator[str]:
    with app.running(tiny_package.folder.path, port=0) as url:
        yield url


@pytest.fixture
def page(browser: Chrome, url: str) -> Chrome:
    browser.set_window_size(1280, 900)
    browser.get(url)
    browser.execute_cdp_cmd(
        "Browser.grantPermissions",
        {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]},
    )
    return browser


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((640, 480)).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


def state(page: Chrome, wanted: str) -> None:
    """Wait until the page is in the state: empty, busy, done or problem."""
    WebDriverWait(page, 20).until(
        lambda page: page.find_element(By.ID, "main").get_dom_attribute("data-state") == wanted
    )


def choose(page: Chrome, file: Path) -> None:
    page.find_element(By.ID, "file").send_keys(str(file))


def hashtags(page: Chrome) -> list[str]:
    return [chip.text for chip in page.find_elements(By.CSS_SELECTOR, ".chip b")]


def test_a_chosen_photo_is_shown_and_gets_its_hashtags(page: Chrome, photo: Path) -> None:
    choose(page, photo)
    state(page, "done")
    found = hashtags(page)
    assert len(found) >= 3
    assert all(tag.startswith("#") for tag in found)
    shares = [chip.text for chip in page.find_elements(By.CSS_SELECTOR, ".chip output")]
    numbers = [float(share.removesuffix(" %")) for share in shares]
    assert numbers == sorted(numbers, reverse=True)
    bar = page.execute_script(
        "const chip = document.querySelector('.chip');"
        "return parseFloat(getComputedStyle(chip, '::before').width) / chip.clientWidth * 100"
    )
    assert bar == pytest.approx(numbers[0], abs=1)
    preview = page.find_element(By.ID, "preview")
    assert preview.is_displayed()
    assert preview.get_property("naturalWidth") == 640


def test_copy_all_and_copy_one(page: Chrome, photo: Path) -> None:
    choose(page, photo)
    state(page, "done")
    found = hashtags(page)
    page.find_element(By.ID, "copy").click()
    read = "return await navigator.clipboard.readText()"
    WebDriverWait(page, 5).until(lambda page: page.execute_script(read) == " ".join(found))
    page.find_element(By.CSS_SELECTOR, ".chip").click()
    WebDriverWait(page, 5).until(lambda page: page.execute_script(read) == found[0])
    assert found[0] in page.find_element(By.ID, "toast").text


@pytest.mark.parametrize(("kind", "where"), [("drop", "drop"), ("paste", "main")])
def test_a_photo_can_be_dropped_and_pasted(page: Chrome, kind: str, where: str) -> None:
    page.execute_script(
        """
        const [kind, where] = arguments;
        const canvas = Object.assign(document.createElement("canvas"), {width: 64, height: 64});
        const blob = await new Promise((done) => canvas.toBlob(done));
        const data = new DataTransfer();
        data.items.add(new File([blob], "drawn.png", {type: "image/png"}));
        const event = kind === "drop"
          ? new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true})
          : new ClipboardEvent("paste", {clipboardData: data, bubbles: true});
        document.getElementById(where).dispatchEvent(event);
        """,
        kind, where,
    )  # fmt: skip
    state(page, "done")
    assert hashtags(page)


def test_what_is_no_image_is_explained_and_the_page_goes_on(
    page: Chrome, photo: Path, tmp_path: Path
) -> None:
    (tmp_path / "letter.jpg").write_text("Dear reader, this is a letter.")
    choose(page, tmp_path / "letter.jpg")
    state(page, "problem")
    assert "not an image" in page.find_element(By.ID, "problem").text
    assert not page.find_element(By.ID, "preview").is_displayed()
    assert not page.find_element(By.ID, "copy").is_displayed()
    choose(page, photo)
    state(page, "done")
    assert hashtags(page)


def test_everything_can_be_reached_by_keyboard(page: Chrome, photo: Path) -> None:
    choose(page, photo)
    state(page, "done")
    reached = []
    for _ in range(len(hashtags(page)) + 3):
        ActionChains(page).send_keys(Keys.TAB).perform()
        reached.append(page.switch_to.active_element)
    names = [element.get_property("id") or element.tag_name for element in reached]
    assert names[:2] == ["file", "copy"]
    assert names[-1] == "a"
    reached[2].send_keys(Keys.ENTER)
    WebDriverWait(page, 5).until(
        lambda page: "Copied" in page.find_element(By.ID, "toast").get_property("textContent")
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_off_at_any_width(page: Chrome, photo: Path, width: int) -> None:
    choose(page, photo)
    state(page, "done")
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    try:
        assert page.execute_script("return innerWidth") == width
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
        assert page.execute_script(
            "const edge = (name) => document.querySelector(name).getBoundingClientRect().right;"
            "return edge('.chip') <= edge('.results')"
        )
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(page: Chrome, photo: Path, scheme: str) -> None:
    """WCAG 2.1 AA asks for a contrast of 4.5 between text and its background."""
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    choose(page, photo)
    state(page, "done")
    for text, background in [
        ("--ink", "--card"), ("--ink", "--fill"), ("--soft", "--paper"), ("--soft", "--card"),
        ("--soft", "--fill"), ("--accent-ink", "--accent"), ("--problem", "--problem-fill"),
    ]:  # fmt: skip
        bright, dim = sorted((_luminance(page, text), _luminance(page, background)), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= 4.5, (text, background)


def test_nothing_comes_from_elsewhere_and_nothing_is_complained_of(
    page: Chrome, url: str, photo: Path
) -> None:
    page.get_log("browser")
    page.refresh()
    choose(page, photo)
    state(page, "done")
    script = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    addresses = page.execute_script(script)
    assert f"{url}/style.css" in addresses
    assert all(address.startswith((url, "blob:", "data:")) for address in addresses)
    assert page.get_log("browser") == []


def _luminance(page: Chrome, variable: str) -> float:
    """Relative luminance (WCAG 2.1) of a colour variable of the page."""
    script = "return getComputedStyle(document.documentElement).getPropertyValue(arguments[0])"
    colour = page.execute_script(script, variable).strip()
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
