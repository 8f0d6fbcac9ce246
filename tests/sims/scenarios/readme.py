"""The table of claims in sims/README.md."""

import re
from pathlib import Path

README = Path(__file__).parents[3] / "sims" / "README.md"
CLAIMS = re.findall(r"^\| `([a-z-]+)` \|", README.read_text(encoding="utf-8"), re.MULTILINE)
"""First cells: names of scenarios (other tables of that page may have such cells, too)."""
