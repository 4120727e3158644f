import os

import pytest

from serving.export.vocabulary import Vocabulary
from trainer.base.errors import UserError

REAL = os.environ.get("YT8M_VOCABULARY", os.path.join("..", "shared", "data", "vocabulary.csv"))


def write(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "vocabulary.csv"
    path.write_bytes(text.encode(encoding))
    return str(path)


def test_names_are_found_by_index_and_not_by_line(tmp_path):
    names = Vocabulary.load(
        write(tmp_path, 'Name,Other,Index\r\n"Dance, ""modern""",x,7\r\n,y,3\r\nÉté,"a\nb",0\r\n')
    )
    assert [names.name(index) for index in (7, 3, 0, 1234)] == [
        'Dance, "modern"',
        "class 3",
        "Été",
        "class 1234",
    ]
    assert dict(names.names) == {7: 'Dance, "modern"', 0: "Été"}


def test_verticals_are_those_that_are_named(tmp_path):
    text = "Index,Name,Vertical1,Vertical2,Vertical3\n0,a,Games,,\n1,b,Sports,Games,Sports\n2,c,,,\n"
    found = Vocabulary.load(write(tmp_path, text))
    assert dict(found.verticals) == {0: ("Games",), 1: ("Sports", "Games")}
    assert dict(Vocabulary.load(write(tmp_path, "Index,Name\n1,x\n")).verticals) == {}


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path):
    assert Vocabulary.load(write(tmp_path, "Index,Name\n1,x\n", "utf-8-sig")).name(1) == "x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Index,Label\n1,x\n", "no column Name .*Index, Label"),
        ("", "no column Index .*none at all"),
        ("Index,Name\nx,y\n", "line 2: the index 'x' is not a number"),
        ("Index,Name\n1,y\n-2,z\n", "line 3: the index '-2' is not a number"),
        ("Index,Name\n1,y\n1,z\n", "line 3: class 1 was there before"),
    ],
)
def test_wrong_files_are_named(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        Vocabulary.load(write(tmp_path, text))


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"cannot read the vocabulary .*No such file"):
        Vocabulary.load(str(tmp_path / "none.csv"))
    with pytest.raises(UserError, match="UTF-8"):
        Vocabulary.load(write(tmp_path, "Index,Name\n1,é\n", "latin-1"))


@pytest.mark.skipif(not os.path.isfile(REAL), reason="needs YT-8M's vocabulary.csv (YT8M_VOCABULARY)")
def test_the_real_vocabulary():
    names = Vocabulary.load(REAL)
    assert len(names.names) == 3862 - 56
    assert (names.name(0), names.name(3)) == ("Game", "Concert")
    assert names.verticals[0] == ("Games",)
    assert len({name for found in names.verticals.values() for name in found}) == 25
    assert sum("," in name for name in names.names.values()) > 0
    assert sum(names.name(index) == f"class {index}" for index in range(3862)) == 56


def test_addresses_with_a_scheme_are_read_too(tmp_path):
    path = tmp_path / "vocabulary.csv"
    path.write_text('\ufeffIndex,Name\n0,"Game, the"\n', encoding="utf-8")
    assert Vocabulary.load(f"file://{path}").names == {0: "Game, the"}
    with pytest.raises(UserError, match=r"cannot read the vocabulary file://.*none"):
        Vocabulary.load(f"file://{tmp_path}/none")
