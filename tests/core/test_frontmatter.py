from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.frontmatter import KEYS, MARK, front_matter

TEXTS = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    [
        "yes",
        "null",
        "1e5",
        "2025-01-01",
        "---",
        "a: b",
        "# c",
        "\x85",
        "\u2028",
        "\x7f",
        "\ufeff",
        "\ud800",
        "😀",
    ]
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
FACTS = st.dictionaries(st.sampled_from(KEYS), VALUES | st.lists(TEXTS, max_size=3))


@given(FACTS)
def test_whatever_the_facts_are_yaml_reads_them_back_as_they_were(facts: dict[str, Any]) -> None:
    text = front_matter(facts)
    assert text.startswith(MARK)
    assert text.endswith(MARK)
    assert len(text.splitlines()) >= 2
    assert (yaml.safe_load(text.removesuffix(MARK)) or {}) == facts


@given(FACTS)
def test_every_fact_is_one_line_in_the_fixed_order(facts: dict[str, Any]) -> None:
    lines = front_matter(facts).split("\n")
    assert [line.split(":")[0] for line in lines[1:-2]] == [key for key in KEYS if key in facts]


def test_a_small_cost_stays_a_number() -> None:
    loaded = yaml.safe_load(front_matter({"cost_usd": 1e-7}).removesuffix(MARK))
    assert loaded == {"cost_usd": 1e-7}


def test_a_time_is_written_as_rfc_3339_and_a_number_that_is_none_as_null() -> None:
    facts = {"started": datetime(2025, 3, 1, 10, tzinfo=UTC), "cost_usd": float("nan")}
    assert front_matter(facts) == '---\ncost_usd: null\nstarted: "2025-03-01T10:00:00Z"\n---\n'


def test_other_facts_stand_behind_the_known_ones() -> None:
    assert front_matter({"more": 1, "task": "T-01"}) == '---\ntask: "T-01"\nmore: 1\n---\n'


def test_what_has_no_form_in_json_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no form in JSON"):
        front_matter({"task": object()})
