"""The official API descriptions and recorded answers, which lie beside the project and not in it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

CONTRACTS: Path = Path(__file__).resolve().parents[2] / "shared" / "contracts"


def contract_path(*parts: str) -> Path:
    """A file or folder of the contracts; the test is skipped where they are absent, except in CI."""
    if not CONTRACTS.is_dir():
        message = "the contracts folder (../shared/contracts) is not here"
        if os.environ.get("CI") == "true":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    path = CONTRACTS.joinpath(*parts)
    assert path.exists(), f"no such contract: {'/'.join(parts)}"
    return path


def load_contract(*parts: str) -> Any:
    """A contract in JSON. Decimal fractions come as text would be read: use it for shapes, not for money."""
    return json.loads(contract_path(*parts).read_text(encoding="utf-8"))
