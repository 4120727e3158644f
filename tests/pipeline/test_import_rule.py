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


@pytest.mark.parametrize("line", ["import pipeline.recipe", "import tfx", "import apache_beam"])
def test_a_breach_is_found(tmp_path: Path, line: str) -> None:
    for package in ("pipeline", "components", "serving", "trainer"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "pipeline" / "recipe.py").touch()
    (tmp_path / "trainer" / "breach.py").write_text(line + "\n")
    result = lint_imports(tmp_path)
    assert result.returncode == 1
    assert "trainer.breach" in result.stdout
