"""Use cases: decide, reward, define, report; the only room that joins rooms."""
