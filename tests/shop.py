"""The example of the dynamic loop: a shop that grows from two tasks to fifteen, as a scripted model would build it.

Each task's answers stand here by its id, in turn; what workers write are real files, which the plan's own check runs.
"""

from __future__ import annotations

import json
import re
from threading import Event
from typing import Any

from api_answers import Answer, text, tool
from api_requests import Request, Script

REQUEST = "Build an e-commerce platform with product catalog, shopping cart and checkout"
CHECK = "python3 -m unittest -q shop.test_shop"
PLAN: dict[str, Any] = {
    "request": REQUEST,
    "replan": "auto",
    "limits": {"budget_usd": 5, "parallelism": 4},
    "success_criteria": ["a product can be found, put into a cart, ordered and paid"],
    "verify": [CHECK],
}

ANALYSIS = {
    "kind": "open-ended",
    "known": ["product catalog", "shopping cart", "checkout"],
    "unknown": ["payment", "stock", "user accounts"],
    "strategy": "Find the scope and design it first; the design decides what is built.",
    "tasks": 10,
}

CODE = {
    "catalog": """PRODUCTS = {"tea": 450, "cup": 900}


def price(name):
    return PRODUCTS[name]
""",
    "accounts": """def account(mail):
    return {"mail": mail.lower(), "orders": []}
""",
    "cart": """from shop.catalog import price


def total(cart):
    return sum(price(name) * count for name, count in cart.items())
""",
    "stock": """STOCK = {"tea": 10, "cup": 3}


def take(name, count):
    if STOCK[name] < count:
        raise ValueError(f"only {STOCK[name]} of {name}")
    STOCK[name] -= count
""",
    "admin": """from shop.catalog import PRODUCTS


def set_price(name, cents):
    PRODUCTS[name] = cents
""",
    "orders": """from shop.cart import total
from shop.stock import take


def order(account, cart):
    for name, count in cart.items():
        take(name, count)
    account["orders"].append({"cart": dict(cart), "cents": total(cart), "paid": False})
    return account["orders"][-1]
""",
    "payment": """def pay(order, charge):
    order["paid"] = charge(order["cents"])
    return order["paid"]
""",
    "mail": """SENT = []


def send(account, words):
    SENT.append((account["mail"], words))
""",
    "search": """from shop.catalog import PRODUCTS

WORDS = {word: name for name in PRODUCTS for word in name.split()}


def find(word):
    return WORDS.get(word.lower())
""",
    "test_shop": """import unittest

from shop.accounts import account
from shop.orders import order
from shop.payment import pay
from shop.search import find


class Shop(unittest.TestCase):
    def test_a_product_is_found_ordered_and_paid(self):
        placed = order(account("Ann@example.org"), {find("Tea"): 2})
        self.assertTrue(pay(placed, lambda cents: cents == 900))
""",
}


def draft(ref: str, title: str, worker: str, file: str = "", **more: Any) -> dict[str, Any]:
    """A task of the plan; `file` is what it makes."""
    made = {"artifacts": [file], "writes": [file]} if file else {}
    words = f"{title}. Keep to the design; prices are whole cents."
    return {"ref": ref, "title": title, "description": words, "worker": worker, **made, **more}


def reported(words: str, **more: Any) -> Answer:
    """The last word of a worker, with its report."""
    report = {"status": "complete", "summary": words, **more}
    return text(f"{words}\n\n```json\n{json.dumps(report)}\n```")


def planned(**answer: Any) -> Answer:
    """The answer of a planning call."""
    return tool("StructuredOutput", **answer)


def made(name: str, words: str, **more: Any) -> list[Answer]:
    """A worker that writes a module of the shop and says so."""
    path = f"shop/{name}.py"
    return [tool("Write", file_path=path, content=CODE[name]), reported(words, artifacts=[path], **more)]


def built(name: str) -> str:
    """The file of a module."""
    return f"shop/{name}.py"


SCOPE = (
    draft("scope", "Find out what the shop must do", "code-analyzer"),
    draft("design", "Design the parts and how they meet", "system-architect", needs=["scope"]),
)
PARTS = (
    draft("catalog", "Build the product catalog", "code-developer", built("catalog"), of="T-02"),
    draft("accounts", "Build the accounts", "code-developer", built("accounts"), of="T-02"),
    draft("cart", "Build the cart", "code-developer", built("cart"), of="T-02", needs=["catalog"], priority="P1"),
    draft("stock", "Keep the stock", "code-developer", built("stock"), of="T-01", needs=["catalog"]),
    draft(
        *("checkout", "Build the checkout", "code-developer", built("payment")),
        of="T-02", needs=["cart", "accounts"], priority="P1",
    ),
    draft("admin", "Build the admin pages", "code-developer", built("admin"), of="T-02", needs=["catalog"]),
)  # fmt: skip
CHECKOUT = (
    draft("orders", "Take orders", "code-developer", built("orders")),
    draft("payment", "Take payments", "code-developer", built("payment"), needs=["orders"]),
)
REST = (
    draft("mail", "Send mails about orders", "code-developer", built("mail"), of="T-05", before=["payment"]),
    draft("search", "Make the search fast", "performance-optimizer", built("search"), of="T-05"),
    draft(
        *("tests", "Test the way from search to payment", "test-engineer", built("test_shop")),
        needs=["payment", "search"], verify=[CHECK],
    ),
    draft("readme", "Write the README", "documentation-writer", "README.md", needs=["payment"], priority="P3"),
    draft("review", "Look for what is unsafe", "code-analyzer", needs=["payment"]),
    draft("deploy", "Say how to deploy it", "documentation-writer", "DEPLOY.md", after=["readme"], priority="P3"),
)  # fmt: skip


def answers(others_ended: Event) -> dict[str, list[Answer]]:
    """What each task is answered; `others_ended` holds back the failure that is to be planned for."""
    nothing = reported("I have written the file.")
    page = "# Shop\n\nRun `python3 -m unittest shop.test_shop`.\n"
    return {
        "Plan-01": [planned(analysis=ANALYSIS, reason="the parts are not known yet", add=SCOPE)],
        "T-01": [
            reported(
                "Catalog, cart and checkout; payment and stock are not mentioned and needed.",
                discoveries=["stock has to be kept", "orders belong to accounts"],
            )
        ],
        "T-02": [
            reported(
                "Six modules in shop/, which meet in orders.",
                discoveries=["an admin page sets prices"],
                new_tasks=[{"title": "Build the admin pages", "why": "prices change"}],
            )
        ],
        "Plan-02": [
            planned(
                reason="the design names six parts",
                add=PARTS,
                context="All modules are in shop/. Prices are whole cents. No third-party packages.",
            )
        ],
        "T-03": made("catalog", "The catalog is there."),
        "T-04": made("accounts", "Accounts are there."),
        "T-05": [
            *(nothing, nothing, nothing.but(gate=others_ended)),
            *made("cart", "The cart is there.", discoveries=["people want a mail", "search is slow"]),
        ],
        "T-06": made("stock", "Stock is kept."),
        "T-08": made("admin", "Prices can be set."),
        "Plan-03": [
            planned(
                reason="T-05 says it is done and writes nothing: a stronger model, told where to write",
                reassign=[
                    {
                        "task": "T-05",
                        "model": "opus",
                        "description": "Write shop/cart.py: total(cart) in whole cents, from shop.catalog.price.",
                        "reason": "three answers without the file",
                    }
                ],
            )
        ],
        "T-07": [nothing, nothing, nothing],
        "Plan-04": [
            planned(
                reason="the checkout is two things; mails and a fast search were discovered",
                split=[{"task": "T-07", "into": CHECKOUT, "reason": "orders and payment are two modules"}],
                add=REST,
                finish="all that was asked for is planned",
            )
        ],
        "T-09": made("orders", "Orders are taken."),
        "T-10": made("payment", "Payments are taken."),
        "T-11": made("mail", "Mails are sent."),
        "T-12": made("search", "Search looks up a word at once."),
        "T-13": made("test_shop", "The way from search to payment is tested."),
        "T-14": [tool("Write", file_path="README.md", content=page), reported("The README is there.")],
        "T-15": [reported("Nothing unsafe was found.")],
        "T-16": [tool("Write", file_path="DEPLOY.md", content=page), reported("It says how to deploy.")],
        "Synthesis-01": [
            planned(
                deliverable="# The shop\n\nCatalog, cart, orders and payment are in `shop/`, with a test.",
                integration=["orders take from stock and add up by cart", "payment marks an order as paid"],
                consistent=True,
                conflicts=[],
                missing=[],
                quality={"score": 4, "reasons": ["the test from search to payment passes"]},
                reason="nothing is missing",
            )
        ],
    }


def script() -> Script:
    """The scripted model."""
    others_ended = Event()
    left = answers(others_ended)
    ended: set[str] = set()

    def answer(request: Request) -> Answer:
        name = task_of(request)
        given = left[name].pop(0)
        if not left[name]:
            ended.add(name)
        if {"T-06", "T-08"} <= ended:
            others_ended.set()
        return given

    return answer


def task_of(request: Request) -> str:
    """The task that a request is about."""
    found = re.search(r"- Task: ([A-Za-z0-9-]+)", request.text)
    assert found is not None
    return found[1]
