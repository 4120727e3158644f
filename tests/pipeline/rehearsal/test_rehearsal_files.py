"""Which files are rehearsed at all."""

import copy

import pytest

from pipeline.rehearsal.compiled_file import CompiledFile
from pipeline.rehearsal.graph import read_tasks
from tests.pipeline.rehearsed import documents, run, step, write
from trainer.base.errors import UserError

STEPS = {
    "A": step("", outputs=["model"]),
    "B": step("", inputs={"given": "A.model"}),
    "C": step("", after=["B"]),
}
SPEC, _ = documents(STEPS)
TASKS = ("root", "dag", "tasks")


def changed(*path: str, value: object) -> dict:
    tree = copy.deepcopy(SPEC)
    node = tree
    for key in path[:-1]:
        node = node.setdefault(key, {})
    node[path[-1]] = value
    return tree


def test_the_order_is_that_of_the_dependencies(tmp_path) -> None:
    shuffled = copy.deepcopy(SPEC)
    shuffled["root"]["dag"]["tasks"] = {name: SPEC["root"]["dag"]["tasks"][name] for name in "CBA"}
    tasks = read_tasks(CompiledFile.read(write(tmp_path, shuffled)))
    assert [*tasks] == ["A", "B", "C"]
    assert {name: {*task.upstream} for name, task in tasks.items()} == {"A": set(), "B": {"A"}, "C": {"B"}}


def test_the_order_is_the_same_whenever_a_file_is_read(tmp_path) -> None:
    """Maps of protobuf have none of their own: it differs between processes and between copies of a message."""
    names = [f"T{number:02}" for number in range(40)]
    path = write(tmp_path, documents({name: step("") for name in reversed(names)})[0])
    assert [*read_tasks(CompiledFile.read(path))] == names


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "there is no such file"),
        ("a: [", "is no pipeline as yt8m compile writes it .not YAML"),
        ("- a", "is no pipeline"),
        ("pipelineInfo: {}\ncomponents: {}\ndeploymentSpec: {}\nroot: {}", "it has no name"),
    ],
)
def test_files_that_are_none_of_ours(tmp_path, text: str | None, reason: str) -> None:
    path = tmp_path / "other.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=reason):
        CompiledFile.read(str(path))


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("schemaVersion",), "2.0.0", "schemaVersion must be 2.1.0"),
        (("surplus",), 1, 'no field named "surplus"'),
        ((*TASKS, "A", "dependentTasks"), ["C"], "tasks wait for each other: A <- "),
        ((*TASKS, "C", "dependentTasks"), ["Z"], "waits for Z, which is no task"),
        ((*TASKS, "B", "dependentTasks"), [], "B: input given comes from A, for which the task does not wait"),
        (
            ("components", "A", "outputDefinitions"), {},
            "B: input given comes from the output model of A, which has none of that name",
        ),
        (("components", "C"), {"dag": {}}, "C: a rehearsal does not know tasks that run no container"),
        ((*TASKS, "A", "parameterIterator"), {"itemInput": "x"}, "A: a rehearsal does not know loops"),
        (
            (*TASKS, "C", "triggerPolicy"), {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
            "C: a rehearsal does not know tasks that run whatever happened to others",
        ),
        ((*TASKS, "C", "triggerPolicy"), {"condition": "true"}, "C: a rehearsal does not know conditions .true."),
        (
            ("deploymentSpec", "executors", "C_executor", "container", "args"), ["{{$.inputs.parameters['x']}}"],
            "C: a rehearsal does not know the placeholder in {{",
        ),
        (("deploymentSpec", "executors", "C_executor"), {"importer": {}}, "tasks that run no container"),
        (("deploymentSpec", "executors", "C_executor"), {"resolver": {}}, "is a resolver"),
    ],
)  # fmt: skip
def test_what_is_refused_before_anything_runs(tmp_path, path, value, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        run(write(tmp_path, changed(*path, value=value)), tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_a_volume_that_is_not_here(tmp_path) -> None:
    spec, _ = documents({"Pusher": step("", parameters={"to": "/no/such/models/yt8m"})}, {"to": "/x"})
    mount = [{"constant": "models", "mountPath": "/no/such/models"}]
    executors = {"Pusher_executor": {"pvcMount": mount}}
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}
    with pytest.raises(UserError, match=r"Pusher: to lies on the volume models, .* or say --set to="):
        run(write(tmp_path, spec, platform), tmp_path / "root")
    # Only what lies on it needs it.
    spec, _ = documents({"Pusher": step("", parameters={"to": f"{tmp_path}/no/such/models/yt8m"})})
    assert run(write(tmp_path, spec, platform), tmp_path / "root").tasks["Pusher"].state == "succeeded"


def test_dataflow_does_not_see_this_machine(tmp_path) -> None:
    args = ["{{$}}", "--runner=DataflowRunner"]
    spec = changed("deploymentSpec", "executors", "A_executor", "container", "args", value=args)
    with pytest.raises(UserError, match=r"A runs on Dataflow.*beam\.runner=DirectRunner"):
        run(write(tmp_path, spec), tmp_path / "root")


@pytest.mark.parametrize(
    ("root", "reason"),
    [("gs://bucket/root", "is not on this machine"), ("/dev/null/root", "Not a directory")],
)
def test_roots_that_are_no_directory_here(tmp_path, root: str, reason: str) -> None:
    with pytest.raises(UserError, match=f"--root.*{root}.*{reason}"):
        run(write(tmp_path, SPEC), root)
