"""What a supervisor does about workers that end, with small ones that do as they are told."""

import asyncio
import logging
import os
import re
import signal
import sys
import textwrap

import pytest

from joytoken.workers.listeners import close, listen
from joytoken.workers.supervisor import Supervisor, WorkersFailed
from tests.journeys.gateway import PATIENCE_S

# A worker whose task is a program; it ends with its supervisor.
CHILD = textwrap.dedent("""
    import os, signal, socket, sys, time
    from joytoken.workers.channel import Report, await_order, hear, send_report
    channel = socket.socket(fileno=int(sys.argv[1]))
    order = await_order(channel)
    if order is not None:
        exec(order.task)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        send_report(channel, Report(listening=True))
        while said := hear(channel)[0]:
            print(said.decode(), order.slot, flush=True)
            if said == b"leave":
                sys.exit(0)
""")


def memory(task):
    made = os.memfd_create("task")
    os.write(made, task.encode())
    return made


class World:
    def __init__(self, task, count=2, **limits):
        self.left = []
        self.listens = asyncio.Event()
        self.listeners = listen("127.0.0.1", 0, count)
        self.memory = memory(task)
        self.tasks = []  # for the next times that workers are replaced
        self.supervisor = Supervisor(
            [sys.executable, "-c", CHILD],
            [self.memory, self.memory, self.memory],
            self.listeners,
            left=self.left.append,
            task_anew=lambda: memory(self.tasks.pop(0)),
            **{"drain_ms": 1_000, "leave_ms": 1_000, "pause_ms_max": 100, **limits},
        )

    async def run(self, story):
        """Supervise while the story is told."""
        running = asyncio.create_task(self.supervisor.run(self.listens.set))
        try:
            async with asyncio.timeout(PATIENCE_S):
                telling = asyncio.create_task(story(self))
                await asyncio.wait({running, telling}, return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    telling.cancel()
                    running.result()
                await telling
                os.kill(os.getpid(), signal.SIGTERM)
                await running
        finally:
            close(self.listeners)
            os.close(self.memory)


def pids(caplog):
    """The worker processes that have listened, by slot, in order."""
    found = {}
    for slot, pid in re.findall(r"worker (\d+) \(process (\d+)\) listens", caplog.text):
        found.setdefault(int(slot), []).append(int(pid))
    return found


async def until(what):
    while not what():  # noqa: ASYNC110 - what other processes do sets no event
        await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def told(caplog):
    caplog.set_level(logging.INFO)


async def test_a_dead_worker_is_replaced_in_its_slot(caplog):
    async def story(world):
        await world.listens.wait()
        for slot in (1, 0, 1):
            before = len(pids(caplog)[slot])
            os.kill(pids(caplog)[slot][-1], signal.SIGKILL)
            await until(lambda slot=slot, before=before: len(pids(caplog)[slot]) > before)

    world = World("")
    await world.run(story)
    assert {slot: len(found) for slot, found in pids(caplog).items()} == {0: 2, 1: 3}
    assert world.left[:3] == [1, 0, 2]  # each takes the slot that was free for longest
    assert sorted(world.left[3:]) == [0, 1]
    assert "ended by SIGKILL" in caplog.text
    for found in pids(caplog).values():
        for pid in found:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


async def test_one_that_cannot_start_is_tried_again_at_growing_pauses_and_its_money_is_seen_to(caplog, tmp_path, capfd):
    # The first one of number 1 listens; those after it do not, until they may.
    task = f"""
import pathlib
seen, may = pathlib.Path({str(tmp_path / "seen")!r}), pathlib.Path({str(tmp_path / "may")!r})
if order.slot:
    if seen.exists() and not may.exists():
        send_report(channel, Report(listening=False, why="there is no room"))
        sys.exit(1)
    seen.touch()
"""

    async def story(world):
        await world.listens.wait()
        os.kill(pids(caplog)[1][0], signal.SIGKILL)
        await until(lambda: caplog.text.count("did not start: there is no room") >= 3)
        (tmp_path / "may").touch()
        await until(lambda: len(pids(caplog)[1]) == 2)

    await World(task).run(story)
    pauses = [float(pause) for pause in re.findall(r"begins in ([\d.]+) s", caplog.text)]
    assert len(pauses) >= 2
    assert max(pauses) == 0.1  # as long as it may be
    assert "exit code 1" in caplog.text
    assert capfd.readouterr().out.count("recover") >= 3  # its sibling was asked to, each time


async def test_pauses_grow(caplog):
    async def story(world):
        await world.listens.wait()
        for count in range(1, 4):
            os.kill(pids(caplog)[0][-1], signal.SIGKILL)
            await until(lambda count=count: len(pids(caplog)[0]) > count)

    await World("", count=1, pause_ms_max=300).run(story)
    assert re.findall(r"another takes its place|begins in [\d.]+ s", caplog.text) == [
        "another takes its place",
        "begins in 0.2 s",
        "begins in 0.3 s",
    ]


async def test_workers_that_do_not_start_at_all_are_a_failure(caplog):
    task = 'send_report(channel, Report(listening=False, why="there is no room")); sys.exit(1)'

    async def story(world):
        await world.listens.wait()

    with pytest.raises(WorkersFailed, match="there is no room"):
        await World(task).run(story)


async def test_a_spare_that_died_is_not_used(caplog):
    async def story(world):
        await world.listens.wait()
        spare = world.supervisor._spare
        spare.process.kill()
        spare.process.wait()
        os.kill(pids(caplog)[0][-1], signal.SIGKILL)
        await until(lambda: len(pids(caplog)[0]) == 2)

    await World("").run(story)


async def test_all_are_replaced_by_processes_with_the_new_task(caplog, capfd):
    async def story(world):
        await world.listens.wait()
        for times in (2, 3):
            world.tasks.append(f'print("task", {times}, flush=True)')
            os.kill(os.getpid(), signal.SIGHUP)
            await until(lambda times=times: caplog.text.count("replaced all 2 workers") == times - 1)
            assert {number: len(found) for number, found in pids(caplog).items()} == {0: times, 1: times}
        os.kill(pids(caplog)[0][-1], signal.SIGKILL)  # and whoever comes later has it too
        await until(lambda: len(pids(caplog)[0]) == 4)

    world = World("")
    await world.run(story)
    said = capfd.readouterr().out.split("\n")
    assert [line for line in said if "task" in line] == ["task 2", "task 2", "task 3", "task 3", "task 3"]
    # One after the other: who leaves has its slot until it has ended, and the next one takes it then.
    assert [line for line in said if "leave" in line] == ["leave 0", "leave 1", "leave 2", "leave 0"]
    assert world.left[:4] == [0, 1, 2, 0]
    every = [pid for found in pids(caplog).values() for pid in found]
    assert len(set(every)) == len(every) == 7
    assert caplog.text.count("has left") == 4
    assert "ended by" not in caplog.text.replace("ended by SIGKILL", "")


async def test_where_a_successor_does_not_start_the_others_stay(caplog):
    async def story(world):
        await world.listens.wait()
        world.tasks.append('send_report(channel, Report(listening=False, why="there is no room")); sys.exit(1)')
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: "worker 0 is not replaced, nor are those after it: there is no room" in caplog.text)
        os.kill(os.getpid(), signal.SIGHUP)  # no task at all
        await until(lambda: "no worker is replaced: pop from empty list" in caplog.text)
        assert all(len(found) == 1 for found in pids(caplog).values())
        os.kill(pids(caplog)[1][0], signal.SIGKILL)
        await until(lambda: len(pids(caplog)[1]) == 2)  # by the old task

    await World("").run(story)


async def test_one_that_does_not_leave_is_killed(caplog, monkeypatch):
    monkeypatch.setattr("joytoken.workers.supervisor._SETTLING_S", 0.1)
    task = "import joytoken.workers.channel as c; heard = hear; hear = lambda channel: heard(channel) and (b'stay',)"

    async def story(world):
        await world.listens.wait()
        world.tasks.append("")
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: "replaced all 1 workers" in caplog.text)

    await World(task, count=1, drain_ms=0, leave_ms=100).run(story)
    assert "does not end: it is killed" in caplog.text


async def test_a_stop_while_workers_are_replaced(caplog):
    async def story(world):
        await world.listens.wait()
        world.tasks.append("time.sleep(0.5)")
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: world.supervisor._told.is_set() or not world.tasks)

    await World("").run(story)
    for found in pids(caplog).values():
        for pid in found:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
