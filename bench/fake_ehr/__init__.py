"""The one fake EHR: a small FHIR server in memory, on a real socket, that misbehaves on demand.

It is for what a well-behaved server can't show: replies that get lost after the write, a stale version that is
overlooked, pages that lead elsewhere, a clock that is wrong, a backup that is restored. ``with FakeEhr() as ehr:``
serves on a free port of 127.0.0.1 until the end. Whatever is tested against a friendly partner is tested against a real one.

- `shelf`: its resources, their versions and indexes
- `server`: what it answers when it is well
- `moods`: the table of what it does instead, by script or by chance from a seed
- `process`: the same in a process of its own
"""

from bench.fake_ehr.moods import MISBEHAVIOURS, chance, script
from bench.fake_ehr.server import FakeEhr
from bench.fake_ehr.wire import Answer, Body, Request

__all__ = ["MISBEHAVIOURS", "Answer", "Body", "FakeEhr", "Request", "chance", "script"]
