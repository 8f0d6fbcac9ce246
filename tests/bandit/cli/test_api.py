import subprocess
import sys

NOT_NEEDED = {
    "scipy.optimize": "roots are looked for when somebody asks for a report",
    "scipy.stats": "so are exact tests",
    "cel": "an expression imports it",
    "httpx": "a worker asks nobody",
    "bandit.cli.supervisor": "nor has it children",
    "chdb": "the gateway alone has the engine",
}


def test_a_worker_starts_without_what_serving_does_not_need() -> None:
    # Each cost a tenth to a third of a start, which is how long a place stays empty when all die.
    script = (
        "import sys; import bandit.cli.api; from api.application import create_application;"
        " import bandit.cli.serving; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert NOT_NEEDED.keys() & set(done.stdout.split()) == set()
