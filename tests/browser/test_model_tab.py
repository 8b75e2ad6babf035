"""The tab about the model says what the model's folder says."""

import hashlib
import json

from playwright.sync_api import expect


def test_the_figures_are_those_of_the_folder(open_page, model_folder):
    metrics = json.loads((model_folder / "metrics.json").read_text())
    first = metrics["splits"]["public_test"]["single"]
    page = open_page()
    page.get_by_role("tab", name="Model").click()
    row = page.locator(".fer-overview tbody tr").first
    expect(row).to_contain_text(f"{first['accuracy']['value']:.1%} ({first['accuracy']['low']:.1%}")
    shown = page.locator(".fer-confusion tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.querySelectorAll('td')].map(cell => Number(cell.textContent)))"
    )
    assert shown == first["confusion_matrix"]
    recall = page.locator(".fer-two table").first.locator("tbody tr").nth(2).locator("td").nth(1)
    expect(recall).to_have_text(f"{first['per_class']['fear']['recall']['value']:.1%}")
    weights = hashlib.sha256((model_folder / "onnx" / "model.onnx").read_bytes()).hexdigest()
    expect(page.locator(".fer-facts")).to_contain_text(weights[:16])
    expect(page.locator(".fer-facts")).to_contain_text("Haar cascade")
