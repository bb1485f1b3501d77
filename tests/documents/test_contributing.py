"""The house as CONTRIBUTING.md describes it is compared with the one there is."""

from __future__ import annotations

import re

from pages import ROOT, blocks, section

PACKAGE = ROOT / "scripts" / "orchestrator"
HOUSE = blocks(section((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), "## The house"))[0].body


def test_the_house_names_every_module_and_folder_of_the_package() -> None:
    inside = HOUSE.partition("scripts/orchestrator/\n")[2].partition("\ntemplates/")[0]
    told = re.findall(r"\b\w+\.py\b|^  (?=\w+/)\w+", inside, re.M)
    modules = [path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")]
    rooms = [f"  {path.parent.name}" for path in PACKAGE.glob("*/*.py")]
    assert sorted(told) == sorted({*modules, *rooms})


def test_the_house_names_the_folders_beside_the_package() -> None:
    for name in re.findall(r"^(\w+)/ ", HOUSE, re.M):
        assert (ROOT / name).is_dir(), name
