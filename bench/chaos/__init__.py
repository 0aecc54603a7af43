"""Chaos: real workers that are killed, a broker that forgets, a database that goes down, a partner whose replies get lost.

- `hurry`: a clock that runs faster than ours, so that leases and pauses of minutes pass in seconds
- `people`: what is done on both sides, and what each of them was told
- `machinery`: the workers, and what breaks them
- `checker`: whether everything that was told is in the end in both, once
- `run`: a run from its seed
"""
