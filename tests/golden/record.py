"""Write the golden first rounds of recipes that have none yet: `python tests/golden/record.py`.

Numbers that exist are left alone: a change of those is a decision, made by removing them first.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from sparring import recipes
from sparring.engine.devices import Devices
from test_contracts import GOLDEN, bound, play


def main() -> None:
    golden = json.loads(GOLDEN.read_text())
    devices = Devices("cpu", threads=1)
    for name in recipes.__all__:
        if name not in golden:
            golden[name] = play(bound(name, (1, 16, 16)), 3, devices).notes.means()
    GOLDEN.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
