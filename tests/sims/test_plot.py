from pathlib import Path

from bandit.specs import PolicySpec
from sims.plot import plot
from sims.runner import run
from sims.worlds.synthetic import SyntheticWorld


def test_plot_writes_a_picture(tmp_path: Path) -> None:
    spec = PolicySpec(key="uniform", type="uniform")
    runs = [run(SyntheticWorld(), spec, rounds_n=20, seed=seed) for seed in (1, 2)]
    plot(runs, tmp_path / "runs.png")
    assert (tmp_path / "runs.png").read_bytes().startswith(b"\x89PNG")
