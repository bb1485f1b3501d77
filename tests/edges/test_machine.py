"""Cores and memory, in trees of files like those of the kernel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import datetime, tzinfo
from pathlib import Path

import pytest

from orchestrator.edges.machine import (
    FIRST_WORKER,
    NEXT_WORKER,
    available_memory,
    cores,
    local_zone,
    named_zone,
    workers_that_fit,
)

MIB = 1 << 20
OURS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
NO_LIMIT_OF_VERSION_1 = "9223372036854771712"

ZONES = Path("/usr/share/zoneinfo")

zones = pytest.mark.skipif(not (ZONES / "Asia/Tokyo").exists(), reason="no database of zones")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


class Kernel:
    """A root folder with what a test says of the machine; a group is `cpu/a/b` in version 1, `a/b` in 2."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self._root = root

    def available(self, mib: int) -> None:
        self.write(
            "proc/meminfo",
            f"MemTotal: 8388608 kB\nMemFree: 1 kB\nMemAvailable:   {mib * 1024} kB\nBuffers: 3 kB\n",
        )

    def member_of(self, *lines: str) -> None:
        self.write("proc/self/cgroup", "".join(f"{line}\n" for line in lines))

    def group(self, folder: str, **files: object) -> None:
        for name, text in files.items():
            self.write(f"sys/fs/cgroup/{folder}/{name.replace('__', '.', 1)}", f"{text}\n")

    def copy(self, source: str, path: str) -> None:
        self.write(path, "")
        shutil.copyfile(source, self._root / path)

    def write(self, path: str, text: str) -> None:
        (self._root / path).parent.mkdir(parents=True, exist_ok=True)
        (self._root / path).write_text(text)


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


def test_without_a_limit_all_cores_of_the_affinity_count(kernel: Kernel) -> None:
    assert cores(kernel.root) == OURS
    kernel.member_of("0::/")
    kernel.group("", cpu__max="max 100000")
    assert cores(kernel.root) == OURS


@linux
def test_a_processor_affinity_counts() -> None:
    script = (
        "import os; from orchestrator.edges import machine; "
        "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); print(machine.cores())"
    )
    assert _python(script) == "1"


def test_a_quota_of_version_2_counts_in_whole_cores(kernel: Kernel) -> None:
    kernel.member_of("0::/app")
    kernel.group("app", cpu__max="190000 100000")
    assert cores(kernel.root) == 1
    kernel.group("app", cpu__max=f"{(OURS + 1) * 100_000} 100000")
    assert cores(kernel.root) == OURS


def test_a_quota_of_less_than_a_core_is_one_core(kernel: Kernel) -> None:
    kernel.member_of("0::/app")
    kernel.group("app", cpu__max="20000 100000")
    assert cores(kernel.root) == 1


def test_a_quota_of_version_1_counts(kernel: Kernel) -> None:
    kernel.member_of("3:cpuset:/other", "2:cpu,cpuacct:/app", "0::/")
    kernel.group("cpu/app", cpu__cfs_quota_us=100_000, cpu__cfs_period_us=100_000)
    assert cores(kernel.root) == 1
    kernel.group("cpu/app", cpu__cfs_quota_us=-1)
    assert cores(kernel.root) == OURS


@linux
def test_without_a_limit_the_memory_of_the_machine_counts(kernel: Kernel) -> None:
    kernel.available(700)
    assert available_memory(kernel.root) == 700 * MIB


@linux
def test_memory_is_unknown_where_nobody_tells(kernel: Kernel) -> None:
    assert available_memory(kernel.root) is None
    kernel.write("proc/meminfo", "MemAvailable:")
    assert available_memory(kernel.root) is None


@linux
def test_the_limit_of_a_version_2_group_counts_less_what_it_uses(kernel: Kernel) -> None:
    kernel.available(8000)
    kernel.member_of("0::/app")
    stat = f"anon 5\nfile 9\ninactive_anon 7\ninactive_file {30 * MIB}\n"
    kernel.group("app", memory__max=500 * MIB, memory__current=200 * MIB, memory__stat=stat)
    assert available_memory(kernel.root) == 330 * MIB


@linux
def test_the_least_room_on_the_way_up_counts(kernel: Kernel) -> None:
    kernel.available(8000)
    kernel.member_of("0::/slice/app/worker")
    kernel.group("slice/app/worker", memory__max="max")
    kernel.group("slice/app", memory__max=900 * MIB, memory__current=0)
    kernel.group("slice", memory__max=500 * MIB, memory__current=100 * MIB)
    assert available_memory(kernel.root) == 400 * MIB


@linux
def test_a_limit_above_what_the_machine_has_changes_nothing(kernel: Kernel) -> None:
    kernel.available(100)
    kernel.member_of("0::/app")
    kernel.group("app", memory__max=900 * MIB, memory__current=0)
    assert available_memory(kernel.root) == 100 * MIB


@linux
def test_a_group_that_uses_more_than_its_limit_has_no_room(kernel: Kernel) -> None:
    kernel.available(100)
    kernel.member_of("0::/app")
    kernel.group("app", memory__max=1 * MIB, memory__current=2 * MIB)
    assert available_memory(kernel.root) == 0


@linux
def test_the_limit_of_a_version_1_group_counts(kernel: Kernel) -> None:
    kernel.available(8000)
    kernel.member_of("4:memory:/app", "0::/")
    stat = f"inactive_file 1\ntotal_inactive_file {10 * MIB}\n"
    usage = {"memory__usage_in_bytes": 60 * MIB, "memory__stat": stat}
    kernel.group("memory/app", memory__limit_in_bytes=100 * MIB, **usage)
    kernel.group("memory", memory__limit_in_bytes=NO_LIMIT_OF_VERSION_1, **usage)
    assert available_memory(kernel.root) == 50 * MIB
    kernel.group("memory/app", memory__limit_in_bytes=NO_LIMIT_OF_VERSION_1)
    assert available_memory(kernel.root) == 8000 * MIB


@linux
def test_a_container_that_shows_the_path_outside_it_is_limited_by_its_top_folder(kernel: Kernel) -> None:
    kernel.available(8000)
    kernel.member_of("4:memory:/docker/0123abcd")
    kernel.group("memory", memory__limit_in_bytes=100 * MIB, memory__usage_in_bytes=40 * MIB)
    assert available_memory(kernel.root) == 60 * MIB


@linux
def test_a_path_that_leads_out_of_the_tree_of_groups_is_not_followed(kernel: Kernel) -> None:
    kernel.available(8000)
    kernel.member_of("0::/../../../outside")
    kernel.write("outside/memory.max", "1")
    assert available_memory(kernel.root) == 8000 * MIB


@linux
def test_this_machine_is_read_without_psutil() -> None:
    script = (
        "import sys; from orchestrator.edges import machine; "
        "print(machine.available_memory() > 0, machine.cores() > 0, 'psutil' in sys.modules)"
    )
    assert _python(script) == "True True False"


def test_workers_fit_by_what_the_first_and_each_further_one_takes() -> None:
    assert workers_that_fit(FIRST_WORKER - 1) == 0
    assert workers_that_fit(FIRST_WORKER) == 1
    assert workers_that_fit(FIRST_WORKER + 3 * NEXT_WORKER) == 4


@zones
def test_the_zone_is_that_of_tz_before_that_of_the_machine(kernel: Kernel) -> None:
    kernel.copy(str(ZONES / "Asia/Tokyo"), "etc/localtime")
    assert _offset(local_zone({"TZ": "America/New_York"}, kernel.root)) == -5
    assert _offset(local_zone({"TZ": ":Europe/Berlin"}, kernel.root)) == 1
    assert _offset(local_zone({"TZ": ""}, kernel.root)) == 0
    assert _offset(local_zone({}, kernel.root)) == 9


def test_a_zone_that_cannot_be_found_is_the_offset_that_holds_now(kernel: Kernel) -> None:
    ours = datetime.now().astimezone().utcoffset()
    for environment in ({}, {"TZ": "No/Such"}):
        assert datetime.now(local_zone(environment, kernel.root)).utcoffset() == ours
    kernel.write("etc/localtime", "garbage")
    assert datetime.now(local_zone({}, kernel.root)).utcoffset() == ours


@zones
def test_a_zone_is_found_by_its_name() -> None:
    assert _offset(named_zone("Europe/Berlin")) == 1
    for name in ("", "No/Such", "Europe", "/etc/localtime", "../localtime", "UTC\0", "x" * 5000):
        assert named_zone(name) is None


def _offset(zone: tzinfo | None) -> float:
    """Hours, in winter."""
    offset = datetime(2026, 1, 1, tzinfo=zone).utcoffset()
    assert offset is not None
    return offset.total_seconds() / 3600


def _python(script: str) -> str:
    scripts = Path(__file__).resolve().parents[2] / "scripts"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(scripts)},
    )  # fmt: skip
    return done.stdout.strip()
