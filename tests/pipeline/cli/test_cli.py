import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli.main import VERBS, app
from pipeline.recipe.loader import load_recipe, recipe_names
from tests.pipeline.verbs import run
from trainer.base.errors import UserError


def yt8m(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **options,
    )


def test_sizes_prints_the_papers_table_as_one_json_list() -> None:
    result = yt8m("sizes", "--variants", "K24-H1440,K16-H256", "--json")
    assert result.returncode == 0
    assert result.stderr == ""
    first, second = json.loads(result.stdout)
    assert first["variant"] == "K24-H1440"
    assert first["float32_mib"] == pytest.approx(714.93, abs=0.005)
    assert first["float16_mib"] == pytest.approx(381.40, abs=0.005)
    assert first["rate"] == pytest.approx(0.467, abs=0.0005)
    assert first["tensors"] == 32
    assert second["variant"] == "K16-H256"


def test_sizes_without_variants_is_table1() -> None:
    result = yt8m("sizes", "--json")
    assert len(json.loads(result.stdout)) == 18


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["sizes", "--variants", "K24"], "an architecture is written like K24-H1440"),
        (["sizes", "--nonsense"], "--nonsense"),
        (["nonsense"], "nonsense"),
        (["run"], "--recipe"),
        (
            ["run", "--recipe", "demo", "--data", __file__, __file__, sys.executable],
            "(2 in all) stands behind no option: a pattern",
        ),
        (["run", "--recipe", "dmeo"], "did you mean demo"),
        (["run", "--recipe", "demo", "--set", "training.learning_rat=1"], "did you mean learning_rate?"),
        (["run", "--recipe", "demo", "--data", "/nonexistent/*.tfrecord"], "/nonexistent/*.tfrecord"),
        (["run", "--recipe", sys.executable], "not a text in UTF-8"),
        (["recipes", "new", "yhls", "--from", "demo"], "yhls is a recipe of the project"),
        (["models", "list", "/nope"], "/nope is no directory"),
        (["runs", "--host", "http://x", "--root", "y"], "give one of them"),
        (["runs", "--host", "http://127.0.0.1:99999"], "--host is a URL"),
        (["runs", "--host", "http://[::1"], "--host is a URL"),
        (["recipes", "new", "", "--from", "demo"], "the argument after new is empty"),
        (["run", "--recipe="], "--recipe= is empty"),
        (["predict", "x.tfrecord", "--vocabulary", ""], "the argument after --vocabulary is empty"),
        (["models", "list", ".", "--tls-ca", "x"], "are for the connection to a server, and none is asked"),
        (["monitor", "--model", "m", "--data", "d", "--tls-key", "x"], "and none is asked"),
        (["predict", "x", "--litert", "m.tflite", "--tls-key", "x"], "and none is asked"),
        (["predict", "x", "--litert", "m.tflite", "--model-version", "3"], "leave out --model-version"),
        (
            [
                "infer",
                "--model",
                "m",
                "--data",
                "d",
                "--out",
                "o.csv",
                "--beam",
                "workers=1",
                "--tls-ca",
                "x",
            ],
            "is asked",
        ),
        (["compress", "m", "--to", "int8", "--calibration-videos", "5"], "give both, or neither"),
        (["rehearse", "p.yaml", "--root", "r", "--no-retry", "--retry-policy", "Always"], "give one"),
        (["report", "runs/demo", "--out", "page.json"], "name FILE.html"),
        (["serve", "m", "--otlp-endpoint", "http://[::1"], "the address of an OTLP collector is a URL"),
        (["serve", "m", "--max-request-mib", "4096"], "--max-request-mib"),
        (["serve", "--model-config-file", "c", "--label", "stable=1"], "says names, versions and labels"),
        (["serve", "m", "--threads", "99999999999"], "--threads"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(arguments: list[str], part: str) -> None:
    result = yt8m(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert part in result.stderr


def test_a_current_directory_that_is_gone_is_said(tmp_path) -> None:
    verb = f"{sys.executable} -c 'from pipeline.cli.main import main; main()'"
    command = f"mkdir gone && cd gone && rmdir ../gone && {verb}"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "yt8m: the current directory is not there any more: cd to one that is\n",
    )


def test_the_help_has_every_verb_with_its_whole_first_sentence() -> None:
    for group in ([], ["models"], ["data"], ["recipes"]):
        shown = CliRunner().invoke(app, [*group, "--help"]).stdout.partition("Commands:")[2]
        assert "..." not in shown
        names = re.findall(r"^  ([a-z-]+)  ", shown, re.MULTILINE)
        assert names if group else names == [*VERBS]
        assert len(re.findall(r"\.$", shown, re.MULTILINE)) == len(names)


def test_the_version_names_what_it_runs_on() -> None:
    shown = CliRunner().invoke(app, ["--version"]).stdout
    assert re.fullmatch(r"yt8m [\d.]+ \(TensorFlow [\d.]+, TFX [\d.]+, Python [\d.]+\)\n", shown)


def test_a_shell_completes_verbs_and_recipes() -> None:
    script = "import sys; sys.argv = ['yt8m']; from pipeline.cli.main import main; main()"
    for words, offers in (("yt8m rec", ["recipes"]), ("yt8m run --recipe vid", ["video-level"])):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={
                "_YT8M_COMPLETE": "complete_bash",
                "COMP_WORDS": words,
                "COMP_CWORD": str(len(words.split()) - 1),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.split() == offers, done.stderr


@pytest.mark.parametrize("option", ["--show-completion", "--install-completion"])
def test_a_completion_for_no_shell_is_refused(option: str, tmp_path: Path) -> None:
    named = yt8m(option, "nosh", env={"HOME": str(tmp_path)})
    assert (named.returncode, named.stdout) == (2, "")
    assert named.stderr == f"yt8m: {option} is for the shell that runs yt8m: leave out nosh\n"
    script = (
        "import sys, shellingham; from pipeline.cli.main import main\n"
        "shellingham.detect_shell = lambda: ('nosh', '/bin/nosh')\n"
        f"sys.argv = ['yt8m', '{option}']; main()"
    )
    unknown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert unknown.stderr == (
        f"yt8m: {option}: the shell that runs yt8m is nosh; run it in one of bash, zsh, fish, powershell, pwsh\n"
    )


def test_recipes_are_listed_and_a_copy_can_be_made_once(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    listed = json.loads(run("recipes", "--json"))["recipes"]
    assert [one["name"] for one in listed] == recipe_names()
    assert all(one["runs"] == f"runs/{one['name']}" and len(one["description"]) > 20 for one in listed)
    assert run("recipes", "new", "mine", "--from", "yhls").startswith(
        "mine.yaml: runs go to runs/mine, models to models/mine"
    )
    assert load_recipe("mine.yaml").name == "mine"
    with pytest.raises(UserError, match=r"mine.yaml is there already"):
        run("recipes", "new", "mine", "--from", "demo")


@pytest.mark.parametrize("arguments", [["--help"], ["sizes"], ["sizes", "--help"], ["run", "--help"]])
def test_light_verbs_import_neither_tensorflow_nor_tfx(arguments: list[str]) -> None:
    script = (
        "import sys; from pipeline.cli.main import main\n"
        f"sys.argv = ['yt8m', *{arguments!r}]\n"
        "try: main()\n"
        "except SystemExit as done: assert done.code == 0\n"
        "heavy = {'tensorflow', 'tfx', 'apache_beam', 'pandas', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_each_verb_shows_an_example(verb: str) -> None:
    result = yt8m(verb, "--help")
    assert result.returncode == 0
    assert f"yt8m {verb}" in result.stdout.split("Example", 1)[-1]
