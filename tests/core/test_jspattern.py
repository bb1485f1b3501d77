"""Regular expressions of JavaScript; every row was observed with the claude program (versions 2.1.197 and 2.1.329)."""

from __future__ import annotations

import pytest

from orchestrator.core.jspattern import LONGEST, wrong_pattern

GOOD = r"""
^[a-z]+$  [\-]  (?i:a)  (?<n>a)\k<n>  \p{L}  \p{Script=Greek}  (?<=a+)b  \u{1F600}  \u00e9  \/  (a)\1
\cA  [\b]  []  [^]  [[a]  a??  a{2,}?  a{1,3}  (?<n>a)|(?<n>b)  é  (?:)  ()  [\w-]  [-a]  [a-]  a|  \0
\x41  (?!a)b  [+-]  [a-c-e]
"""

BAD = r"""
\-  \A  \Z  a++  (?i)a  (?P<n>a)  (?#x)  (?>a)  a{  a]  a}  a{,3}  a{1}{2}  a{2,1}  ^*  \b+  (?=a)*
(?<=a)+  \k<n>  \_  \1  [z-a]  [\w-a]  [a-\d]  \z  \e  \x4  \08  [\B]  []a]  \N{DIGIT}  (  )  (a  a)  [a
\  *  +a  ?  (*)  (|+)  a**  \u12  \u{110000}  \1234567890123
"""


@pytest.mark.parametrize("pattern", ["", *GOOD.split()])
def test_a_pattern_that_the_program_takes_is_good(pattern: str) -> None:
    assert wrong_pattern(pattern) == ""


@pytest.mark.parametrize("pattern", BAD.split())
def test_a_pattern_that_the_program_refuses_is_told(pattern: str) -> None:
    assert wrong_pattern(pattern).startswith(f"{pattern!r} is not a regular expression of JavaScript: ")


@pytest.mark.parametrize("sign", ["(", "[", "a", "\\d", "a{1}", "[a-b]", "()", "(?:", "\\", "{9"])
def test_a_long_pattern_takes_no_time(sign: str) -> None:
    wrong_pattern(sign * (LONGEST // len(sign)))
    assert "is longer than" in wrong_pattern(sign * (LONGEST + 1))


def test_the_place_is_told() -> None:
    assert wrong_pattern("ab]").endswith(": ']' at character 3")
    assert wrong_pattern("[z-a]").endswith(": the range z-a")
    assert wrong_pattern("(a").endswith(": `(` without `)`")
