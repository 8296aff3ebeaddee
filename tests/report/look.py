"""Opens a page in Debian's Chromium, light and dark, narrow, wide and printed, and prints as JSON what was seen.

Usage: look.py CHROMIUM PAGE [SELECTOR...]; with SSP_SCREENSHOTS=DIR, screenshots are kept there.
"""

import json
import os
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

# The widest right edge of any text or drawing that nothing scrolls.
BEYOND = """() => [...document.querySelectorAll('body *')]
  .filter(e => !e.closest('.wide') && !e.closest('pre') && !e.closest('svg') && e.getBoundingClientRect().right > innerWidth + 1)
  .map(e => e.tagName + '.' + e.className)"""

# Printed: what is wider than the paper, what would have to be scrolled or opened, and colours that are not for paper.
PAPER = {"width": 718, "height": 1047}  # A4 less margins of 10 mm, at 96 dots per inch
CUT = """() => [...document.querySelectorAll('body *')].filter(e => {
  const box = e.getBoundingClientRect(), style = getComputedStyle(e);
  const scrolls = style.overflowX != 'visible' && !e.closest('svg')
    && (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1);
  return box.right > innerWidth + 1 || scrolls;
}).map(e => e.tagName + '.' + (e.className.baseVal ?? e.className))"""
CLOSED = """() => [...document.querySelectorAll('details > :not(summary)')]
  .filter(e => !e.checkVisibility({contentVisibilityAuto: true}) || e.getBoundingClientRect().height == 0).map(e => e.textContent)"""
COLORS = """() => {
  const body = getComputedStyle(document.body);
  return [body.backgroundColor, body.color, getComputedStyle(document.documentElement).colorScheme];
}"""


def printed(browser, scheme, page_file, shots):
    context = browser.new_context(viewport=PAPER, color_scheme=scheme)
    page = context.new_page()
    page.emulate_media(media="print", color_scheme=scheme)
    page.goto(Path(page_file).absolute().as_uri())
    seen = {"cut": page.evaluate(CUT), "closed": page.evaluate(CLOSED), "colors": page.evaluate(COLORS),
            "details": page.locator("details").count()}
    pdf = page.pdf(format="A4", margin=dict.fromkeys(["top", "right", "bottom", "left"], "10mm"))
    seen["pages"] = pdf.count(b"/Type /Page\n")
    if shots:
        (Path(shots) / f"{Path(page_file).stem}-{scheme}.pdf").write_bytes(pdf)
    context.close()
    return seen


def main():
    chromium, page_file, *selectors = sys.argv[1:]
    shots = os.environ.get("SSP_SCREENSHOTS")
    said, elsewhere, widths, beyond = [], [], {}, []
    found, colors = {}, {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for scheme in ["light", "dark"]:
            for width in [400, 1400]:
                context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
                page = context.new_page()
                page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
                page.on("pageerror", lambda error: said.append(f"error: {error}"))
                page.on("request", lambda request: elsewhere.append(request.url))
                page.goto(Path(page_file).absolute().as_uri())
                widths[f"{scheme} {width}"] = page.evaluate("document.documentElement.scrollWidth")
                beyond += page.evaluate(BEYOND)
                found = {selector: page.locator(selector).count() for selector in selectors}
                colors[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
                if shots:
                    name = f"{Path(page_file).stem}-{width}-{scheme}.png"
                    page.screenshot(path=str(Path(shots) / name), full_page=True)
                context.close()
        paper = {scheme: printed(browser, scheme, page_file, shots) for scheme in ["light", "dark"]}
        browser.close()
    own = Path(page_file).absolute().as_uri()
    elsewhere = sorted({url for url in elsewhere if url != own})
    print(json.dumps({"said": said, "elsewhere": elsewhere, "widths": widths, "beyond": beyond, "found": found,
                      "colors": colors, "paper": paper}))


main()
