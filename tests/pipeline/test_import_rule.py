import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--config", ROOT / "pyproject.toml", "--no-cache"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )


def test_imports_go_down_only_and_trainer_and_serving_need_no_tfx() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("line", ["import pipeline.recipe.recipe", "import tfx", "import apache_beam"])
def test_a_breach_is_found(tmp_path: Path, line: str) -> None:
    # The house as it is, of empty rooms.
    for package in ("pipeline", "components", "serving", "trainer"):
        for module in (ROOT / package).rglob("*.py"):
            empty = tmp_path / module.relative_to(ROOT)
            empty.parent.mkdir(parents=True, exist_ok=True)
            empty.touch()
    (tmp_path / "trainer" / "breach.py").write_text(line + "\n")
    result = lint_imports(tmp_path)
    assert result.returncode == 1
    assert "trainer.breach" in result.stdout
