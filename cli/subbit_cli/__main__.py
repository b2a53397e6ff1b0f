"""`python -m subbit_cli` is the command `subbit`."""

from __future__ import annotations

from subbit_cli.main import main

main()
