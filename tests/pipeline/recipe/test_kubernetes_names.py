import pytest

from pipeline.recipe.kubernetes_names import (
    label_key_fault,
    label_value_fault,
    namespace_fault,
    object_name_fault,
)


@pytest.mark.parametrize(
    ("fault", "good", "bad"),
    [
        (namespace_fault, ["a", "team-1", "x" * 63], ["", "Team", "a.b", "-a", "a-", "x" * 64, "a b", "a\n"]),
        (
            object_name_fault,
            ["a", "yt8m-pipeline", "a.b-c", "x" * 253],
            ["", "Bad Name!", "a..b", ".a", "a_b", "x" * 254, "a\n"],
        ),
        (
            label_key_fault,
            ["gpu", "cloud.google.com/gke-accelerator", "A_b.c", f"a.b/{'x' * 63}"],
            ["", "/a", "a/", "a/b/c", "Bad.Domain/x", "x" * 64, "a b"],
        ),
        (label_value_fault, ["", "nvidia-tesla-t4", "A_b.C", "x" * 63], ["-a", "a b", "x" * 64, "a/b"]),
    ],
)
def test_rules(fault, good, bad) -> None:
    assert [name for name in good if fault(name)] == []
    assert [name for name in bad if not fault(name)] == []
